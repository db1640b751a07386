// Panels that fold, and axes outside the first and last of them.
import {
  SPECTRUM, boxHeight, columns, comparing, panelNamed, placeBelow, placeBeside, roomAbove, roomBelow, shareOf, slotOf,
} from "./columns.js"
import {check, press, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {layer} from "./layers.js"
import {showLegend} from "./legend.js"
import {axisModels, gridModels, methodBoxes, panels, spectrum, target, windows} from "./models.js"
import {known, large, put, state} from "./page.js"
import {frameSecond} from "./second.js"

export function arrange() {
  const names = Object.keys(panels)
  const shown = names.filter((name) => state.panels[name])
  const whole = shown.reduce((sum, name) => sum + shareOf(name), 0)
  const free = Math.max(200, boxHeight() - roomAbove() - roomBelow())
  const placed = columns()
  const tops = placed.map((column) => column[0]?.key), bottoms = placed.map((column) => column[column.length - 1]?.key)
  const rows = names.map((name) => {
    if (!state.panels[name]) return {size: "0px"}
    const axes = (name === shown[0] ? roomAbove() : 0) + (name === shown.at(-1) ? roomBelow() : 0)
    return {size: `${(shareOf(name) / whole * free + axes).toFixed(1)}fr`}
  })
  const seen = new Set(placed.flat().map(({key}) => key))
  for (const [name, {above, below}] of Object.entries(axisModels)) {
    const panel = panelNamed(name)
    const other = state.frame === "rest" ? "observed" : "rest"
    for (const frame of ["observed", "rest"]) {
      above[frame].visible = tops.includes(name) && frame === other && !large()
      below[frame].visible = bottoms.includes(name) && frame === state.frame
    }
    put(panel, seen.has(name))
    if (!(name in panels)) methodBoxes[slotOf(name)].visible = seen.has(name)
  }
  if (comparing()) placeBeside(placed)
  else placeBelow(rows)
  showLegend()
}

// In large type, panels that would be too low to be read from afar make room for those that matter more, until somebody
// brings them back.
const LEAST = 114  // pixels
const smallest = windows.map((size) => "w" + size).reverse()
const matter = ["spectrum", "combined", ...smallest.slice(0, 2), "residual", "map", ...smallest.slice(2)]
let left = []

export function makeRoom() {
  for (const name of left) state.panels[name] = true
  left = []
  if (large()) {
    const room = (boxHeight() - roomBelow()) / LEAST
    const shown = matter.filter((name) => state.panels[name])
    const most = Math.max(2, Math.floor(state.panels.spectrum ? room - SPECTRUM + 1 : room))
    left = shown.slice(most)
  }
  for (const name of left) state.panels[name] = false
  for (const [name, on] of Object.entries(state.panels)) check("panel", name, on)
}

// What the axes mean for this target: without a redshift there is no rest frame, and nothing to normalise by.
const restWords = Object.values(axisModels)[0].above.rest.axis_label
const fluxWords = panels.spectrum.left[0].axis_label

export function nameAxes() {
  for (const {above, below} of Object.values(axisModels)) {
    for (const {rest: axis} of [above, below]) {
      axis.axis_label = known() ? restWords : "rest-frame wavelength: the redshift is not known"
      axis.major_label_text_alpha = known() ? 1 : 0
    }
  }
  panels.spectrum.left[0].axis_label = target.data.normalised[0] ? fluxWords : "flux, not normalised"
}

export function fold(name, shown) {
  if (!shown && Object.values(state.panels).filter(Boolean).length === 1 && state.panels[name]) {
    check("panel", name, true)
    say("one panel stays")
    return
  }
  state.panels[name] = shown
  left = left.filter((other) => other !== name)
  check("panel", name, shown)
  arrange()
  schedule()
}

export function foldWindows() {
  const names = windows.map((size) => "w" + size)
  const shown = !names.some((name) => state.panels[name])
  if (!shown && !Object.entries(state.panels).some(([name, on]) => on && !names.includes(name))) return
  for (const name of names) { state.panels[name] = shown; check("panel", name, shown) }
  arrange()
  schedule()
}

export function frame(name) {
  state.frame = name
  for (const [of, models] of Object.entries(gridModels)) for (const model of models) model.visible = of === name
  arrange()
  frameSecond()
  press("frame", name)
}

export function toggleModel() {
  const shown = !(state.layers.model || state.panels.residual)
  layer("model", shown)
  fold("residual", shown)
  if (shown && !spectrum.data.model.some(Number.isFinite)) say("the model's reconstruction is not there yet")
}
