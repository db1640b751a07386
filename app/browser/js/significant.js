// Significant only: what ordinary spectra show too is faded, and the rest is drawn over it.
import {findAll, say} from "./dom.js"
import {
  attribution, panels, scaleMap, significance, significantFaded, significantMap, significantNames, significantOver,
  significantValues, wavelength, windows,
} from "./models.js"
import {count, sizeOf, state, step} from "./page.js"

const FADED = 0.2
const ALPHAS = ["line_alpha", "fill_alpha", "global_alpha"]
const alphasBefore = new Map()
let spreadOver = -1  // pixels by which the map's significant ones are widened now, so that they are seen

const significantBits = () => {
  const bits = significance.data.bits[0]
  return bits?.length === count ? bits : null
}

export function significantAt(i) {
  const bits = significantBits()
  return bits ? significantNames.filter((_, bit) => bits[i] >> bit & 1) : []
}

// A line needs a neighbour to be drawn to.
function standing(values, bits, bit) {
  const out = new Float32Array(count).fill(NaN)
  for (let i = 0; i < count; i++) {
    if (!(bits[i] >> bit & 1)) continue
    for (let k = Math.max(0, i - 1); k <= Math.min(count - 1, i + 1); k++) out[k] = values[k]
  }
  return out
}

// Rows of the map, smallest window first; seen from far, one pixel would vanish between two of the screen.
function standingMap(bits, half) {
  const image = scaleMap.data.image[0]
  const out = new Float32Array(image.length).fill(NaN)
  windows.forEach((size, bit) => {
    const start = (windows.length - 1 - bit) * count
    for (let i = 0; i < count; i++) {
      if (!(bits[i] >> bit & 1)) continue
      const value = image[start + i]
      for (let k = Math.max(0, i - half); k <= Math.min(count - 1, i + half); k++) {
        const own = bits[k] >> bit & 1
        if (k === i || (!own && !(out[start + k] > value))) out[start + k] = value
      }
    }
  })
  return out
}

export function fitSignificant() {
  const bits = state.significant ? significantBits() : null
  if (!bits || !state.panels.map) return
  const half = Math.floor((wavelength.end - wavelength.start) / step / sizeOf(panels.map, "inner_width", 1000))
  if (half === spreadOver) return
  spreadOver = half
  const before = significantMap.data.image[0]
  before.set(standingMap(bits, half))
  significantMap.change.emit()
}

export function drawSignificant() {
  const bits = significantBits()
  const why = significance.data.why_not[0] ?? ""
  const on = state.significant && bits !== null
  for (const button of findAll('button[data-group="significant"]')) {
    button.setAttribute("aria-pressed", String(on))
    button.setAttribute("aria-disabled", String(bits === null))
    button.title = bits === null ? `Significant only: ${why}` : button.dataset.tip
  }
  for (const glyph of significantFaded) {
    const before = alphasBefore.get(glyph) ?? Object.fromEntries(
      ALPHAS.filter((name) => glyph[name]?.value !== undefined).map((name) => [name, glyph[name].value]))
    alphasBefore.set(glyph, before)
    glyph.setv(Object.fromEntries(
      Object.entries(before).map(([name, alpha]) => [name, {value: on ? FADED * alpha : alpha}])))
  }
  if (on) {
    significantNames.forEach((name, bit) => {
      significantValues.data["only_" + name] = standing(attribution.data[name], bits, bit)
    })
    significantValues.change.emit()
    spreadOver = -1
    fitSignificant()
  }
  for (const renderer of significantOver) renderer.visible = on
}

export function significantOnly(on) {
  const bits = significantBits()
  if (bits === null) {
    const why = significance.data.why_not[0] ?? ""
    say(`significant only: ${why}`)
    return
  }
  state.significant = on
  drawSignificant()
  const places = bits.reduce((sum, now, i, all) => sum + Number(now > 0 && !(all[i - 1] > 0)), 0)
  const level = `${100 * significance.data.level[0]} %`
  say(!on ? "everything is shown" : places === 0 ? `nothing is significant at ${level}, counting every place looked at`
    : `${places} range${places > 1 ? "s" : ""} significant at ${level}, counting every place looked at`)
}
