// Line markers at the redshift, their labels, and the redshift nudged for checking.
import {find, findAll, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {imo} from "./imo.js"
import {features, labels, lightSpeed, lines, panels, wavelength} from "./models.js"
import {known, fileRedshift, letters, redshift, sizeOf, state} from "./page.js"
import {followSecond} from "./second.js"
import {followRest} from "./view.js"

const NUDGE = 0.0001
const NEAR = 1000, CLOSE = 400  // Angstrom in view, rest frame: all lines are marked, and named in full
const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"))

export const everyLineInView = () =>
  (wavelength.end - wavelength.start) / (1 + (known() ? redshift() : 0)) < NEAR || state.layers.weak

// Whether it is among what a numbered feature is about, which is narrow then.
const inFeature = (at) => features.data.low.some((low, i) =>
  features.data.high[i] - low < 150 && at > low - 5 && at < features.data.high[i] + 5)

/** Pixels that the longest name in view takes at the top of the spectrum. */
export let labelRoom = 0

// Strong lines are marked, all if one looks closely; names are where they fit, and from afar a mark needs a name.
export function placeLabels() {
  const width = sizeOf(panels.spectrum, "inner_width", 800)
  const scale = width / (wavelength.end - wavelength.start)
  const apart = 1.25 * letters()
  const taken = []
  const {x, rest: restWavelength, strong, name, short, family} = lines.data
  const every = everyLineInView()
  const close = (wavelength.end - wavelength.start) / (1 + (known() ? redshift() : 0)) < CLOSE
  const words = close && sizeOf(panels.spectrum, "inner_height", 200) > 15 * letters() ? name : short
  const text = name.map(() => ""), mark = name.map(() => NaN)
  const near = x.map((at, i) => !strong[i] && !every && inFeature(at))
  // the strong ones first, and no name that would lie over one already there
  const order = [...name.keys()].sort((a, b) => strong[b] - strong[a] || restWavelength[a] - restWavelength[b])
  for (const i of order) {
    if (!state.layers[family[i]] || !(every || strong[i] || near[i])) continue
    const at = (x[i] - wavelength.start) * scale
    if (!(at > 0 && at < width)) continue
    const fits = at > 0.6 * letters() && at < width - 0.6 * letters() &&
      taken.every((other) => Math.abs(other - at) >= apart)
    if (!fits && !every && !near[i]) continue
    mark[i] = x[i]
    if (!fits) continue
    taken.push(at)
    text[i] = words[i]
  }
  pen.font = `${letters()}px ${labels.text_font.value}`
  labelRoom = Math.max(0, ...text.map((word) => word ? pen.measureText(word).width : 0))
  const same = (a, b) => a.every((value, i) => value === b[i] || (value !== value && b[i] !== b[i]))
  if (same(text, lines.data.text) && same(mark, lines.data.marked)) return
  Object.assign(lines.data, {text, marked: mark})
  lines.change.emit()
}

export function moveLines() {
  const z = known() ? redshift() : NaN
  lines.data.x = lines.data.rest.map((w) => w * (1 + z))
  placeLabels()
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

export function featureAt(angstrom) {
  const {low, high} = features.data
  for (let i = 0; i < low.length; i++) if (angstrom >= low[i] && angstrom <= high[i]) return i
  return -1
}
