// What the other files share: the grid, the state of the page, and its elements.
// All files of this folder run once, in one scope, when the document is ready.
const first = grid.start, step = grid.step, count = grid.count
const last = first + step * (count - 1)
const LIGHT_SPEED = 299792.458  // km/s
const SMOOTHINGS = [0, 3, 7, 15, 31]  // pixels

const state = {
  smoothing: 0,
  frame: "observed",
  nudge: 0,  // added to the redshift for checking; never sent unless asked
  asking: false,  // dragging asks about a range instead of zooming
  second: false,
  significant: false,  // as it is wished; some targets have nothing to tell
  layers: {...layersAtFirst},
  panels: Object.fromEntries(Object.keys(panels).map((name) => [name, panels[name].visible])),
}

const labelRedshift = () => target.data.z[0]
const known = () => Number.isFinite(labelRedshift())
const redshift = () => labelRedshift() + state.nudge
const pixel = (angstrom) => Math.max(0, Math.min(count - 1, Math.round((angstrom - first) / step)))
const quantile = (sorted, q) => sorted[Math.max(0, Math.min(sorted.length - 1, Math.round(q * (sorted.length - 1))))]

// In sources that are sent: what is known of the file that the target came from.
const noiseKnown = () => target.data.noise_known[0]
const partOfInstrument = () => target.data.part[0]  // "arm", "camera", or "" if the instrument is not known

function finite(array, from, to) {
  const out = []
  for (let i = from; i <= to; i++) if (Number.isFinite(array[i])) out.push(array[i])
  return Float64Array.from(out).sort()
}

function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}

const kept = new Map()  // what a selector found: to look for it takes milliseconds

function findAll(selector) {
  const before = kept.get(selector) ?? []
  if (before.length && before.every((element) => element.isConnected && element.matches(selector))) return before
  const found = [...roots(document)].flatMap((root) => [...root.querySelectorAll(selector)])
  kept.set(selector, found)
  return found
}

const find = (selector) => findAll(selector)[0] ?? null

// Pixels of a panel, or another number while Bokeh has not laid it out: then it does not say.
const sizeOf = (panel, name, otherwise) => panel.property(name).is_unset ? otherwise : panel[name] || otherwise

function press(group, value) {
  for (const button of findAll(`button[data-group="${group}"]`)) {
    button.setAttribute("aria-pressed", String(button.dataset.value === value))
  }
}

function check(group, value, on) {
  for (const box of findAll(`input[data-group="${group}"][data-value="${value}"]`)) box.checked = on
}

function write(selector, text) {
  const place = find(selector)
  if (place && place.textContent !== text) place.textContent = text
}

// The read-out follows the mouse; only what answers an action is announced to screen readers.
const read = (text) => write("[data-readout]", text)
function say(text) { read(text); write("[data-announce]", text) }

// A range as everywhere else on the page; see imo_engine/spectra/ranges.py.
function rangeWords(low, high) {
  const digits = high - low < 10 ? 1 : 0
  const from = low.toFixed(digits), to = high.toFixed(digits)
  return from === to ? `${from} Å` : `${from}–${to} Å`
}

function number(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  const digits = size !== 0 && (size < 0.001 || size >= 10000) ? value.toExponential(1) : value.toPrecision(3)
  return digits.replace("-", "−")
}
