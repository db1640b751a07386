// Other methods beside inverse occlusion: two columns on one wavelength axis, as in the paper's figure 2.
import {asking} from "./brush.js"
import {comparing, methodPanels, methodRows} from "./columns.js"
import {findAll, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {fitAttribution, tick} from "./fitting.js"
import {forward} from "./forward.js"
import {
  axisModels, gridModels, layerModels, methodBoxes, methodList, methodValues, rangeTools, zoomTools,
} from "./models.js"
import {letters, sizeOf, state} from "./page.js"
import {arrange, nameAxes} from "./panels.js"

let methodTitles = [], methodNotes = []

function adoptMethods() {
  if (methodPanels.length || !methodList.tags.length) return
  methodPanels.push(...methodList.tags)
  const one = (models, type) => models.find((model) => model.type === type)
  methodTitles = methodPanels.map((panel) => panel.title)
  methodNotes = methodPanels.map((panel) => one(panel.center, "Label"))
  methodPanels.forEach((panel, slot) => {
    for (const renderer of panel.renderers) {
      if (!(renderer.name in layerModels)) continue
      layerModels[renderer.name].push(renderer)
      renderer.visible = state.layers[renderer.name]
    }
    for (const grid of panel.center.filter((model) => model.type === "Grid" && model.tags[0] in gridModels)) {
      gridModels[grid.tags[0]].push(grid)
      grid.visible = grid.tags[0] === state.frame
    }
    /** @type {(axes: Model[]) => any} */
    const frames = (axes) => Object.fromEntries(axes.filter((axis) => axis.type === "LinearAxis")
      .map((axis) => [axis.x_range_name === "rest" ? "rest" : "observed", axis]))
    axisModels["method" + slot] = {above: frames(panel.above), below: frames(panel.below)}
    const tools = panel.toolbar.tools
    zoomTools.push(one(tools, "BoxZoomTool"))
    rangeTools.push(one(tools, "BoxSelectTool"))
  })
  nameAxes()
  if (state.asking) asking(true)
}

export function listMethods() {
  adoptMethods()
  const {name, title, state: states, shown} = methodList.data
  methodPanels.forEach((_, slot) => {
    methodTitles[slot].text = title[slot + 1] ?? ""
  })
  for (const button of findAll('button[data-group="method"]')) {
    const row = name.indexOf(button.dataset.value)
    button.setAttribute("aria-pressed", String(row > 0))
    button.dataset.state = row > 0 ? states[row] : ""
  }
  for (const bar of findAll("[data-methods]")) bar.hidden = !shown[0]
  arrange()
  schedule()
}

export function fitMethods(from, to) {
  if (!comparing()) return
  methodRows().slice(0, methodBoxes.length).forEach((_, slot) => {
    const panel = methodPanels[slot]
    tick(panel)
    fitAttribution(panel, methodValues.data["m" + slot], from, to, 0)
    const axis = panel.left[0], unit = methodList.data.unit[slot + 1]
    const height = sizeOf(panel, "inner_height", 60)
    // read upwards: what lies above zero is what makes the spectrum improbable
    axis.axis_label = unit === "" ? "" : height > 12 * letters() ? `${unit} · more anomalous →` : height > 6 * letters() ? `${unit} · odd →` : unit
    writeNote(methodNotes[slot], panel, methodList.data.note[slot + 1])
  })
}

function writeNote(note, panel, words) {
  if (!words) { note.visible = false; return }
  const wide = Math.max(20, Math.floor(sizeOf(panel, "inner_width", 400) / (0.58 * letters())) - 4)
  const lines = [""]
  for (const word of words.split(" ")) {
    const line = lines[lines.length - 1]
    if (line && line.length + word.length + 1 > wide) lines.push(word)
    else lines[lines.length - 1] = line ? `${line} ${word}` : word
  }
  const most = Math.max(1, Math.floor((sizeOf(panel, "inner_height", 60) - 8) / (1.3 * letters())))
  if (lines.length > most) { lines.length = most; lines[most - 1] += " …" }
  note.setv({text: lines.join("\n"), y: sizeOf(panel, "inner_height", 60) / 2, visible: true})
}

export function chooseMethod(name) {
  const chosen = methodRows()
  if (!chosen.includes(name) && chosen.length >= methodBoxes.length) {
    say(`${methodBoxes.length} methods at most; switch one off first`)
    return
  }
  forward(`method-${name}`)
}
