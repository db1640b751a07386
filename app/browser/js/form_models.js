// What Python gives the form of labels; see app/views/reasons/label.py.
export const {known, owner, said, user} = /** @type {FormModels} */ (models)
