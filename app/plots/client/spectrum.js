// What is drawn of the spectrum: smoothed with its inverse variance, with its noise, and its residual.

// Running sums of a window around each pixel; masked pixels have no weight.
function windowed(values, half) {
  const sums = new Float64Array(count + 1)
  for (let i = 0; i < count; i++) sums[i + 1] = sums[i] + values[i]
  const out = new Float64Array(count)
  for (let i = 0; i < count; i++) out[i] = sums[Math.min(count, i + half + 1)] - sums[Math.max(0, i - half)]
  return out
}

function derive() {
  const {flux, sigma, model} = spectrum.data
  const half = state.smoothing >> 1
  const shown = new Float32Array(count), noise = new Float32Array(count), residual = new Float32Array(count)
  const weight = new Float64Array(count), weighted = new Float64Array(count)
  const modelled = new Float64Array(count), difference = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const w = sigma[i] > 0 && Number.isFinite(flux[i]) ? 1 / sigma[i] ** 2 : 0
    weight[i] = w
    weighted[i] = w > 0 ? w * flux[i] : 0
    modelled[i] = w > 0 && Number.isFinite(model[i]) ? w : 0
    difference[i] = modelled[i] > 0 ? w * (flux[i] - model[i]) : 0
  }
  const total = windowed(weight, half), sum = windowed(weighted, half)
  const both = windowed(modelled, half), apart = windowed(difference, half)
  for (let i = 0; i < count; i++) {
    const measured = Number.isFinite(flux[i])  // a masked pixel stays a gap however wide the window
    const weighs = measured && (half > 0 ? total[i] : weight[i]) > 1e-12
    shown[i] = half === 0 ? flux[i] : weighs ? sum[i] / total[i] : NaN
    noise[i] = weighs ? 1 / Math.sqrt(half > 0 ? total[i] : weight[i]) : 0
    residual[i] = measured && modelled[i] > 0 ? apart[i] / Math.sqrt(both[i]) : NaN
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

function smooth(pixels) {
  state.smoothing = pixels
  press("smoothing", String(pixels))
  derive()
  schedule()
}

function smoothStep(steps) {
  const at = SMOOTHINGS.indexOf(state.smoothing) + steps
  const wanted = SMOOTHINGS[Math.max(0, Math.min(SMOOTHINGS.length - 1, at))]
  smooth(wanted)
  say(wanted ? `smoothed over ${wanted} pixels` : "not smoothed")
}
