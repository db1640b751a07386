// Everything the plots do without the server: zooming, y-ranges that follow the view, line labels, read-out.
// Runs once, when the document is ready; the buttons on the page call window.imoExplorer.
const first = grid.start, step = grid.step, count = grid.count
const last = first + step * (count - 1)
const history = []
let settled = [wavelength.start, wavelength.end]
let restFrame = false
let pending = null
let quiet = null
let shown = []  // the range that a button asked for

const redshift = () => target.data.z[0]
const known = () => Number.isFinite(redshift())
const pixel = (angstrom) => Math.max(0, Math.min(count - 1, Math.round((angstrom - first) / step)))
const quantile = (sorted, q) => sorted[Math.max(0, Math.min(sorted.length - 1, Math.round(q * (sorted.length - 1))))]

function finite(array, from, to) {
  const out = []
  for (let i = from; i <= to; i++) if (Number.isFinite(array[i])) out.push(array[i])
  return out.sort((a, b) => a - b)
}

function setRange(range, low, high, zero) {
  if (!(high > low)) { const pad = Math.abs(high) > 0 ? 0.1 * Math.abs(high) : 1; low -= pad; high += pad }
  if (zero) { low = Math.min(low, 0); high = Math.max(high, 0) }
  const pad = 0.08 * (high - low)
  range.setv({start: low - pad, end: high + pad})
}

// Room for legend and line labels, in pixels, as a share of the data's height.
function headroom(panel, pixels) {
  const share = Math.min(0.45, pixels / (panel.inner_height || 120))
  return share / (1 - share)
}

// Spectrum: extremes that stand out of the noise count, so that emission lines fit and a noisy edge does not.
function fitSpectrum(from, to) {
  const {flux, upper} = spectrum.data
  const values = finite(flux, from, to)
  if (!values.length) return
  let low = quantile(values, 0.01), high = quantile(values, 0.99)
  for (let i = from; i <= to; i++) {
    const sigma = upper[i] - flux[i]
    if (!(sigma > 0)) continue  // masked or on a sky line
    high = Math.max(high, flux[i] - 3 * sigma)
    low = Math.min(low, flux[i] + 3 * sigma)
  }
  setRange(panels.spectrum.y_range, low, high + headroom(panels.spectrum, 58) * (high - low), false)
}

function fitAttribution(name, column) {
  const from = pixel(wavelength.start), to = pixel(wavelength.end)
  const values = finite(attribution.data[column], from, to)
  if (!values.length) return
  const low = Math.min(values[0], 0), high = Math.max(values[values.length - 1], 0)
  setRange(panels[name].y_range, low, high + headroom(panels[name], 16) * (high - low), true)
}

function fit() {
  pending = null
  fitSpectrum(pixel(wavelength.start), pixel(wavelength.end))
  fitAttribution("combined", "combined")
  for (const size of windows) fitAttribution("w" + size, "w" + size)
  label()
}

function schedule() {
  if (pending === null) pending = requestAnimationFrame(fit)
}

// Line labels: the major ones first, and none that would overlap one already there.
function label() {
  const width = panels.spectrum.inner_width || 800
  const scale = width / (wavelength.end - wavelength.start)
  const taken = []
  const {x, major, name, short} = lines.data
  const text = name.map(() => "")
  const order = [...name.keys()].sort((a, b) => major[b] - major[a])
  for (const i of order) {
    const at = (x[i] - wavelength.start) * scale
    if (!(at > 8 && at < width - 4)) continue
    if (taken.some((other) => Math.abs(other - at) < 13)) continue
    taken.push(at)
    text[i] = short[i]
  }
  lines.data.text = text
  const {start, end} = panels.spectrum.y_range
  const below = 20 / (panels.spectrum.inner_height || 160)  // the legend is above
  lines.data.y = name.map(() => end - below * (end - start))
  lines.change.emit()
}

function moveLines() {
  const z = known() ? redshift() : NaN
  lines.data.x = lines.data.rest.map((w) => w * (1 + z))
}

function followRest() {
  const z = known() ? redshift() : 0
  rest.setv({start: wavelength.start / (1 + z), end: wavelength.end / (1 + z)})
}

function remember() {
  quiet = null
  const now = [wavelength.start, wavelength.end]
  if (Math.abs(now[0] - settled[0]) + Math.abs(now[1] - settled[1]) < 0.01) return
  history.push(settled)
  if (history.length > 50) history.shift()
  settled = now
}

function moved() {
  followRest()
  schedule()
  if (wavelength.start !== shown[0] || wavelength.end !== shown[1]) press("view", "")
  if (quiet !== null) clearTimeout(quiet)
  quiet = setTimeout(remember, 300)
}

function show(low, high) {
  shown = [low, high]
  wavelength.setv({start: low, end: high})
}

function press(group, value) {
  for (const root of roots(document)) {
    for (const button of root.querySelectorAll(`button[data-group="${group}"]`)) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value))
    }
  }
}

function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}

function say(text) {
  for (const root of roots(document)) {
    const place = root.querySelector("[data-readout]")
    if (place) { place.textContent = text; return }
  }
}

function number(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  return size !== 0 && (size < 0.001 || size >= 10000) ? value.toExponential(1) : value.toPrecision(3)
}

// A view that was reached less than 0.3 s ago counts too when something else is asked for.
function settle() {
  if (quiet === null) return
  clearTimeout(quiet)
  remember()
}

window.imoExplorer = {
  view(name) {
    settle()
    const wanted = views[name]
    if (wanted.low === null) { show(first - 0.01 * (last - first), last + 0.01 * (last - first)); press("view", name); return }
    if (!known()) { say(`${wanted.label}: the redshift is not known`); return }
    const low = wanted.low * (1 + redshift()), high = wanted.high * (1 + redshift())
    if (high < first || low > last) { say(`${wanted.label} lies at ${((low + high) / 2).toFixed(0)} Å, outside this spectrum`); return }
    show(low, high)
    press("view", name)
  },
  undo() {
    settle()
    const before = history.pop()
    if (!before) { say("no earlier view"); return }
    settled = before
    show(...before)
    press("view", "")
  },
  frame(name) {
    restFrame = name === "rest"
    for (const model of restModels) model.visible = restFrame
    for (const model of observedModels) model.visible = !restFrame
    press("frame", name)
  },
  hover(x) {
    if (!(x >= first && x <= last)) return
    const i = pixel(x)
    let text = `${x.toFixed(1)} Å`
    if (known()) text += ` · rest ${(x / (1 + redshift())).toFixed(1)} Å`
    text += ` · flux ${number(spectrum.data.flux[i])} · IMO ${number(attribution.data.combined[i])}`
    let nearest = -1
    for (let k = 0; k < lines.data.x.length; k++) {
      if (nearest < 0 || Math.abs(lines.data.x[k] - x) < Math.abs(lines.data.x[nearest] - x)) nearest = k
    }
    if (nearest >= 0 && Math.abs(lines.data.x[nearest] - x) < 25) text += ` · ${lines.data.name[nearest]}`
    say(text)
  },
  target() {  // a new target: back to the whole spectrum
    history.length = 0
    moveLines()
    show(first - 0.01 * (last - first), last + 0.01 * (last - first))
    settled = [wavelength.start, wavelength.end]
    press("view", "full")
    followRest()
    schedule()
  },
  data: schedule,
  moved,
}
window.imoExplorer.target()
