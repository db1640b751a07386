// What Python gives the live explanation; see app/browser/hybrid.py.
export const {
  answer, baselines, curves, drawn, effect, facts, grid, hints, panels, range, sizes, strip,
} = /** @type {HybridModels} */ (models)
