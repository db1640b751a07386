// What Python gives the page's address; see app/browser/address.py.
export const {methods, target, wanted, wavelength} = /** @type {AddressModels} */ (models)
