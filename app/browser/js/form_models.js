// What Python gives the form of labels; see app/views/reasons/label.py.
export const {known, owner, user} = /** @type {FormModels} */ (models)
