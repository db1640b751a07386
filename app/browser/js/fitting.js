// Ranges of the panels' heights: what is in view fills them, and as many numbers stand beside them as there is room for.
import {drawn, windows} from "./models.js"
import {noiseKnown, sizeOf} from "./page.js"

const quantile = (sorted, q) => sorted[Math.max(0, Math.min(sorted.length - 1, Math.round(q * (sorted.length - 1))))]

function finite(array, from, to) {
  const out = []
  for (let i = from; i <= to; i++) if (Number.isFinite(array[i])) out.push(array[i])
  return Float64Array.from(out).sort()
}

function setRange(range, low, high, zero) {
  if (!(high > low)) { const pad = Math.abs(high) > 0 ? 0.1 * Math.abs(high) : 1; low -= pad; high += pad }
  if (zero) { low = Math.min(low, 0); high = Math.max(high, 0) }
  const pad = 0.08 * (high - low)
  range.setv({start: low - pad, end: high + pad})
}

// Room for numbers and names of lines, in pixels, as a share of the data's height.
function headroom(panel, pixels) {
  const share = Math.min(0.55, pixels / sizeOf(panel, "inner_height", 120))
  return share / (1 - share)
}

// Spectrum: extremes that stand out of the noise count, so that emission lines fit and a noisy edge does not.
export function fitSpectrum(panel, data, from, to, room, below = 0) {
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
  const tall = high - low
  setRange(panel.y_range, low - headroom(panel, below) * tall, high + headroom(panel, room) * tall, false)
}

// Stands in for a noise that is not known: half of what holds the middle 68 %, continuum included.
const scatterOf = (sorted) => (quantile(sorted, 0.84) - quantile(sorted, 0.16)) / 2

export function fitResidual(panel, from, to) {
  const values = finite(drawn.data.residual, from, to)
  if (!values.length) return
  const low = Math.min(-4, quantile(values, 0.002)), high = Math.max(4, quantile(values, 0.998))
  setRange(panel.y_range, low, high, true)
}

export function fitAttribution(panel, values, from, to, room) {
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
export function tick(panel) {
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
export function tickWavelengths(panel, {below}) {
  const letters = parseFloat(below.observed.major_label_text_font_size) || 11
  const most = Math.max(2, Math.min(12, Math.floor(sizeOf(panel, "inner_width", 800) / (4.6 * letters))))
  for (const {ticker} of Object.values(below)) if (ticker.desired_num_ticks !== most) ticker.desired_num_ticks = most
}
