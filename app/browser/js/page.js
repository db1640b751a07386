// What the other files share: the grid, the state of the page, and what is known of the target.
import {grid, labels, layersAtFirst, panels, target} from "./models.js"

export const first = grid.start
export const step = grid.step
export const count = grid.count
export const last = first + step * (count - 1)

export const state = {
  smoothing: 0,
  frame: "observed",
  nudge: 0,  // added to the redshift for checking; never sent unless asked
  asking: false,  // dragging asks about a range instead of zooming
  second: false,
  significant: false,  // as it is wished; some targets have nothing to tell
  layers: {...layersAtFirst},
  panels: Object.fromEntries(Object.keys(panels).map((name) => [name, panels[name].visible])),
}

export const fileRedshift = () => target.data.z[0]
export const known = () => Number.isFinite(fileRedshift())
export const redshift = () => fileRedshift() + state.nudge
export const pixel = (angstrom) => Math.max(0, Math.min(count - 1, Math.round((angstrom - first) / step)))

// In sources that are sent: what is known of the file that the target came from.
export const noiseKnown = () => target.data.noise_known[0]
export const partOfInstrument = () => target.data.part[0]  // "arm", "camera", or "" if the instrument is not known

// Pixels of a panel, or another number while Bokeh has not laid it out: then it does not say.
export const sizeOf = (panel, name, otherwise) => panel.property(name).is_unset ? otherwise : panel[name] || otherwise

// Pixels of all letters in the plots, and whether they are those for a projector.
export const letters = () => parseFloat(labels.text_font_size.value ?? labels.text_font_size) || 11
export const large = () => letters() > 15

// Bokeh lays a hidden panel out anew at every change, for its axes ask for room in vain: they are hidden with it.
export function put(panel, shown) {
  for (const axis of panel.left) axis.visible = shown
  panel.visible = shown
}

// A range as everywhere else on the page; see imo_engine/spectra/ranges.py.
export function rangeWords(low, high) {
  const digits = high - low < 10 ? 1 : 0
  const from = low.toFixed(digits), to = high.toFixed(digits)
  return from === to ? `${from} Å` : `${from}–${to} Å`
}

export function number(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  const digits = size !== 0 && (size < 0.001 || size >= 10000) ? value.toExponential(1) : value.toPrecision(3)
  return digits.replace("-", "−")
}
