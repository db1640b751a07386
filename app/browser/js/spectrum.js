// What is drawn of the spectrum: smoothed with its inverse variance, with its noise, and its residual.
import {press, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {showLegend} from "./legend.js"
import {drawn, smoothings, spectrum} from "./models.js"
import {count, noiseKnown, state} from "./page.js"

// Pixels weigh by inverse variance, masked ones nothing; where the noise is not known all others weigh the same.
export function derive() {
  const {flux, sigma, model} = spectrum.data
  const half = state.smoothing >> 1, withNoise = noiseKnown()
  const shown = new Float32Array(count).fill(NaN), residual = new Float32Array(count).fill(NaN)
  const noise = new Float32Array(count).fill(withNoise ? 0 : NaN)
  const weight = Float64Array.from(flux, (value, i) =>
    !Number.isFinite(value) ? 0 : !withNoise ? 1 : sigma[i] > 0 ? 1 / sigma[i] ** 2 : 0)
  for (let i = 0; i < count; i++) {
    if (!(weight[i] > 0)) continue  // a masked pixel stays a gap however wide the window
    let total = 0, sum = 0, modelled = 0, difference = 0
    for (let k = Math.max(0, i - half); k <= Math.min(count - 1, i + half); k++) {
      if (weight[k] === 0) continue
      total += weight[k]
      sum += weight[k] * flux[k]
      if (!Number.isFinite(model[k])) continue
      modelled += weight[k]
      difference += weight[k] * (flux[k] - model[k])
    }
    shown[i] = half === 0 ? flux[i] : sum / total
    if (!withNoise) continue
    noise[i] = 1 / Math.sqrt(total)
    if (Number.isFinite(model[i])) residual[i] = difference / Math.sqrt(modelled)
  }
  const middle = bridged(shown)
  Object.assign(drawn.data, {
    shown, residual, reconstruction: model,
    lower: middle.map((value, i) => value - noise[i]),
    upper: middle.map((value, i) => value + noise[i]),
  })
  drawn.change.emit()
}

// A band with gaps is drawn across them: it follows a straight line there, without height.
function bridged(values) {
  const out = Float32Array.from(values)
  let before = -1
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(values[i])) continue
    const start = before < 0 ? values[i] : values[before]
    for (let k = before + 1; k < i; k++) {
      out[k] = before < 0 ? start : start + (values[i] - start) * (k - before) / (i - before)
    }
    before = i
  }
  if (before >= 0) out.fill(values[before], before + 1)
  return out
}

export function smooth(pixels) {
  state.smoothing = pixels
  press("smoothing", String(pixels))
  showLegend()
  derive()
  schedule()
}

export function smoothStep(steps) {
  const at = smoothings.indexOf(state.smoothing) + steps
  const wanted = smoothings[Math.max(0, Math.min(smoothings.length - 1, at))]
  smooth(wanted)
  say(wanted ? `smoothed over ${wanted} pixels` : "not smoothed")
}
