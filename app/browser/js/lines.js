// Line markers at the redshift, their labels, and the redshift nudged for checking.
import {find, findAll, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {imo} from "./imo.js"
import {features, labels, lightSpeed, lines, panels, wavelength} from "./models.js"
import {known, fileRedshift, redshift, sizeOf, state} from "./page.js"
import {followSecond} from "./second.js"
import {followRest} from "./view.js"

const NUDGE = 0.0001
const NUMBER = 19  // pixels that the number of a feature takes

export function placeLabels() {
  const width = sizeOf(panels.spectrum, "inner_width", 800)
  const scale = width / (wavelength.end - wavelength.start)
  const letters = parseFloat(labels.text_font_size.value ?? labels.text_font_size) || 10.5
  const apart = 1.25 * letters
  const taken = []
  const {x, rest: restWavelength, major, name, short, family} = lines.data
  const close = (wavelength.end - wavelength.start) / (1 + (known() ? redshift() : 0)) < 400
  const text = name.map(() => "")
  // the major ones first, and none that would lie over one already there
  const order = [...name.keys()].sort((a, b) => major[b] - major[a] || restWavelength[a] - restWavelength[b])
  for (const i of order) {
    if (!state.layers[family[i]]) continue
    const at = (x[i] - wavelength.start) * scale
    if (!(at > 8 && at < width - 4)) continue
    if (taken.some((other) => Math.abs(other - at) < apart)) continue
    taken.push(at)
    text[i] = close ? name[i] : short[i]
  }
  if (text.every((word, i) => word === lines.data.text[i])) return
  lines.data.text = text
  lines.change.emit()
}

export function moveLines() {
  const z = known() ? redshift() : NaN
  lines.data.x = lines.data.rest.map((w) => w * (1 + z))
  lines.change.emit()
}

export function nearestLine(angstrom) {
  let nearest = -1
  const {x} = lines.data
  for (let i = 0; i < x.length; i++) {
    if (nearest < 0 || Math.abs(x[i] - angstrom) < Math.abs(x[nearest] - angstrom)) nearest = i
  }
  if (nearest < 0 || !Number.isFinite(x[nearest])) return null
  return {name: lines.data.name[nearest], speed: lightSpeed * (angstrom / x[nearest] - 1)}
}

export function nudge(steps) {
  if (!known()) { say("the redshift is not known"); return }
  state.nudge = steps === 0 ? 0 : Math.round((state.nudge + steps * NUDGE) / NUDGE) * NUDGE
  moveLines()
  followRest()
  followSecond()
  schedule()
  showRedshift()
}

export function showRedshift() {
  const place = find("[data-redshift]")
  if (!place) return
  const moved = state.nudge !== 0
  place.textContent = !known() ? "z unknown"
    : moved ? `z = ${redshift().toFixed(4)} (file: ${fileRedshift().toFixed(4)})` : `z = ${redshift().toFixed(4)}`
  place.toggleAttribute("data-moved", moved)
  for (const button of findAll("[data-nudged-only]")) button.hidden = !moved
}

export function useRedshift() {
  if (!known() || state.nudge === 0) return
  const z = Number(redshift().toFixed(6))
  imo.form?.change({redshift: z})
  say(`z = ${z.toFixed(4)} is used for the label`)
}

// Numbers of neighbouring features stand side by side.
export function placeFeatures() {
  const {middle, shift} = features.data
  if (!middle.length) return
  const scale = sizeOf(panels.combined, "inner_width", 800) / (wavelength.end - wavelength.start)
  const order = [...middle.keys()].sort((a, b) => middle[a] - middle[b])
  const shifted = [...shift]
  for (let first = 0, next; first < order.length; first = next) {
    next = first + 1
    while (next < order.length && (middle[order[next]] - middle[order[next - 1]]) * scale < NUMBER) next++
    const group = order.slice(first, next)
    const centre = group.reduce((sum, i) => sum + middle[i], 0) / group.length
    group.forEach((i, k) => {
      shifted[i] = group.length === 1 ? 0 : (centre - middle[i]) * scale + NUMBER * (k - (group.length - 1) / 2)
    })
  }
  if (shifted.every((value, i) => value === shift[i])) return
  features.data.shift = shifted
  features.change.emit()
}

export function featureAt(angstrom) {
  const {low, high} = features.data
  for (let i = 0; i < low.length; i++) if (angstrom >= low[i] && angstrom <= high[i]) return i
  return -1
}
