// Panels that fold, and axes outside the first and last of them.
import {
  AXIS_ROOM, boxHeight, columns, comparing, panelNamed, placeBelow, placeBeside, side, slotOf,
} from "./columns.js"
import {check, press, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {layer} from "./layers.js"
import {axisModels, gridModels, methodBoxes, panels, shares, spectrum, target, windows} from "./models.js"
import {known, put, sizeOf, state} from "./page.js"
import {frameSecond} from "./second.js"

export function arrange() {
  const names = Object.keys(panels)
  const shown = names.filter((name) => state.panels[name])
  const tall = (name) => panels[name].visible ? sizeOf(panels[name], "outer_height", 0) : 0
  const height = side ? boxHeight() : names.reduce((sum, name) => sum + tall(name), 0)
  const whole = shown.reduce((sum, name) => sum + shares[name], 0)
  const free = Math.max(200, (height || 640) - 2 * AXIS_ROOM)
  const placed = columns()
  const tops = placed.map((column) => column[0]?.key), bottoms = placed.map((column) => column[column.length - 1]?.key)
  const rows = names.map((name) => {
    if (!state.panels[name]) return {size: "0px"}
    const axes = Number(name === shown[0]) + Number(name === shown[shown.length - 1])
    return {size: `${(shares[name] / whole * free + axes * AXIS_ROOM).toFixed(1)}fr`}
  })
  const seen = new Set(placed.flat().map(({key}) => key))
  for (const [name, {above, below}] of Object.entries(axisModels)) {
    const panel = panelNamed(name)
    const other = state.frame === "rest" ? "observed" : "rest"
    for (const frame of ["observed", "rest"]) {
      above[frame].visible = tops.includes(name) && frame === other
      below[frame].visible = bottoms.includes(name) && frame === state.frame
    }
    put(panel, seen.has(name))
    if (!(name in panels)) methodBoxes[slotOf(name)].visible = seen.has(name)
  }
  if (comparing()) placeBeside(placed)
  else placeBelow(rows)
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
