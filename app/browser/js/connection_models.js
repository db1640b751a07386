// What Python gives those who watch the connection; see app/browser/connection.py.
export const {alive, height, page, target} = /** @type {ConnectionModels} */ (models)
