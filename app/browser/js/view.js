// The wavelength range in view, its history, and y-ranges that follow it.
const history = []
let settled = [wavelength.start, wavelength.end]
let pending = null
let quiet = null
let asked = []  // the range that a button asked for

function setRange(range, low, high, zero) {
  if (!(high > low)) { const pad = Math.abs(high) > 0 ? 0.1 * Math.abs(high) : 1; low -= pad; high += pad }
  if (zero) { low = Math.min(low, 0); high = Math.max(high, 0) }
  const pad = 0.08 * (high - low)
  range.setv({start: low - pad, end: high + pad})
}

// Room for legend and line labels, in pixels, as a share of the data's height.
function headroom(panel, pixels) {
  const share = Math.min(0.55, pixels / sizeOf(panel, "inner_height", 120))
  return share / (1 - share)
}

// Spectrum: extremes that stand out of the noise count, so that emission lines fit and a noisy edge does not.
function fitSpectrum(panel, data, from, to, room) {
  const {shown, upper} = data
  const values = finite(shown, from, to)
  if (!values.length) return
  const middle = quantile(values, 0.5)
  let low = quantile(values, 0.01), high = quantile(values, 0.99)
  const scatter = noiseKnown() ? 0 : scatterOf(values)
  for (let i = from; i <= to; i++) {
    const sigma = scatter || upper[i] - shown[i]
    if (!(sigma > 0) || !Number.isFinite(shown[i])) continue
    // whole if they are no noise
    const sure = Math.abs(shown[i] - middle) > 8 * sigma
    high = Math.max(high, sure ? shown[i] : shown[i] - 3 * sigma)
    low = Math.min(low, sure ? shown[i] : shown[i] + 3 * sigma)
  }
  setRange(panel.y_range, low, high + headroom(panel, room) * (high - low), false)
}

// Stands in for a noise that is not known: half of what holds the middle 68 %, continuum included.
const scatterOf = (sorted) => (quantile(sorted, 0.84) - quantile(sorted, 0.16)) / 2

function fitResidual(panel, from, to) {
  const values = finite(drawn.data.residual, from, to)
  if (!values.length) return
  const low = Math.min(-4, quantile(values, 0.002)), high = Math.max(4, quantile(values, 0.998))
  setRange(panel.y_range, low, high + headroom(panel, 16) * (high - low), true)
}

function fitAttribution(panel, values, from, to, room) {
  let low = 0, high = 0, any = false
  for (let i = from; i <= to; i++) {
    const value = values[i]
    if (!Number.isFinite(value)) continue
    any = true
    if (value < low) low = value
    if (value > high) high = value
  }
  if (!any) return
  setRange(panel.y_range, low, high + headroom(panel, room) * (high - low), true)
}

// As many numbers beside a panel as there is room for.
function tick(panel) {
  const axis = panel.left[0], {ticker} = axis
  const letters = parseFloat(axis.major_label_text_font_size) || 11
  const room = Math.max(2, Math.floor(sizeOf(panel, "inner_height", 60) / (1.7 * letters)))
  if (ticker.ticks === undefined) {  // numbers may be twice as many as are asked for
    ticker.desired_num_ticks = Math.min(5, Math.max(2, Math.round(room / 1.5)))
  } else {
    const rows = windows.length, every = Math.max(1, Math.ceil(rows / room))
    ticker.ticks = [...windows.keys()].filter((row) => (rows - 1 - row) % every === 0)
  }
}

// Numbers of a wavelength axis stand apart: each takes four letters, five if it is far in the red.
function tickWavelengths(panel, {below}) {
  const letters = parseFloat(below.observed.major_label_text_font_size) || 11
  const most = Math.max(2, Math.min(12, Math.floor(sizeOf(panel, "inner_width", 800) / (4.6 * letters))))
  for (const {ticker} of Object.values(below)) if (ticker.desired_num_ticks !== most) ticker.desired_num_ticks = most
}

function fit() {
  if (pending !== null) cancelAnimationFrame(pending)
  pending = null
  for (const name of Object.keys(panels)) if (state.panels[name]) tick(panels[name])
  for (const [name, axes] of Object.entries(axisModels)) {
    const panel = panelNamed(name)
    if (panel.visible) tickWavelengths(panel, axes)
  }
  const from = pixel(wavelength.start), to = pixel(wavelength.end)
  if (state.panels.spectrum) fitSpectrum(panels.spectrum, drawn.data, from, to, 58)
  if (state.panels.residual) fitResidual(panels.residual, from, to)
  if (state.panels.combined) {
    fitAttribution(panels.combined, attribution.data.combined, from, to, features.data.low.length ? 34 : 16)
  }
  for (const size of windows) {
    const name = "w" + size
    if (state.panels[name]) fitAttribution(panels[name], attribution.data[name], from, to, 16)
  }
  fitMethods(from, to)
  fitSignificant()
  placeLabels()
  placeFeatures()
  fitSecond()
}

function schedule() {
  if (pending === null) pending = requestAnimationFrame(fit)
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
  if (wavelength.start !== asked[0] || wavelength.end !== asked[1]) press("view", "")
  if (quiet !== null) clearTimeout(quiet)
  quiet = setTimeout(remember, 300)
}

// A view that was reached less than 0.3 s ago counts too when something else is asked for.
function settle() {
  if (quiet === null) return
  clearTimeout(quiet)
  remember()
}

function show(low, high) {
  asked = [low, high]
  wavelength.setv({start: low, end: high})
}

const everything = () => [first - 0.01 * (last - first), last + 0.01 * (last - first)]

function view(name) {
  settle()
  const wanted = views[name]
  if (wanted.low === null) { show(...everything()); press("view", name); return }
  if (!known()) { say(`${wanted.label}: the redshift is not known`); return }
  const low = wanted.low * (1 + redshift()), high = wanted.high * (1 + redshift())
  if (high < first || low > last) {
    say(`${wanted.label} lies at ${((low + high) / 2).toFixed(0)} Å, outside this spectrum`)
    return
  }
  show(low, high)
  press("view", name)
}

// A range with its surroundings, so that what it stands out of is seen too.
function zoomTo(low, high) {
  if (!(high >= low) || high < first || low > last) { say("that range lies outside this spectrum"); return }
  settle()
  const pad = Math.max(1.5 * (high - low), 30)
  show(Math.max(first, low - pad), Math.min(last, high + pad))
  press("view", "")
}

function undoView() {
  settle()
  const before = history.pop()
  if (!before) { say("no earlier view"); return }
  settled = before
  show(...before)
  press("view", "")
}

function zoomBy(factor) {
  const middle = (wavelength.start + wavelength.end) / 2
  const half = Math.min(factor * (wavelength.end - wavelength.start), 1.02 * (last - first)) / 2
  if (half > 3 * step) move(middle - half, middle + half)
}

function panBy(share) {
  const shift = share * (wavelength.end - wavelength.start)
  move(wavelength.start + shift, wavelength.end + shift)
}

function move(low, high) {  // never out of the spectrum
  const [least, most] = everything()
  const shift = Math.max(least - low, 0) || Math.min(most - high, 0)
  wavelength.setv({start: low + shift, end: high + shift})
}
