// What Python gives to be remembered; see app/browser/look.py.
export const {look, names, owner} = /** @type {LookModels} */ (models)
