// The page of panels: what its buttons and other views may call, and how it begins.
import {lighten} from "./bokeh.js"
import {asking, brushed} from "./brush.js"
import {copy, placeMenu, switched} from "./buttons.js"
import {panelNamed} from "./columns.js"
import {chooseMethod, fitMethods, listMethods} from "./compare.js"
import {computed, empty, gather, newSpectrum} from "./computed.js"
import {fitWith, schedule} from "./drawing.js"
import {fitAttribution, fitResidual, fitSpectrum, tick, tickWavelengths} from "./fitting.js"
import {imo} from "./imo.js"
import {keys, onKey} from "./keys.js"
import {layer, nameWhatIsKnown} from "./layers.js"
import {showLegend} from "./legend.js"
import {labelRoom, moveLines, nudge, placeLabels, showRedshift, useRedshift} from "./lines.js"
import {attribution, axisModels, drawn, features, panels, repairs, target, windows} from "./models.js"
import {numberRow, placeNumbers} from "./numbers.js"
import {hideOldWords} from "./old_words.js"
import {state} from "./page.js"
import {arrange, fold, frame, makeRoom, nameAxes} from "./panels.js"
import {tellPatches} from "./patches.js"
import {hover, tapped} from "./readout.js"
import {repaired, stopRepair} from "./repair.js"
import {fitSecond, followSecond, frameSecond, second} from "./second.js"
import {drawSignificant, fitSignificant} from "./significant.js"
import {derive, smooth} from "./spectrum.js"
import {theme} from "./theme.js"
import {paintThinned} from "./thin.js"
import {followRest, moved, startAnew, undoView, view, zoomTo} from "./view.js"

function fitPanels(from, to) {
  for (const name of Object.keys(panels)) if (state.panels[name]) tick(panels[name])
  for (const [name, axes] of Object.entries(axisModels)) {
    const panel = panelNamed(name)
    if (panel.visible) tickWavelengths(panel, axes)
  }
  placeLabels()
  const numbers = state.layers.repair && repairs.data.low.length ? numberRow() + 4 : 0
  if (state.panels.spectrum) fitSpectrum(panels.spectrum, drawn.data, from, to, labelRoom + 8, numbers)
  if (state.panels.residual) fitResidual(panels.residual, from, to)
  if (state.panels.combined) {
    fitAttribution(panels.combined, attribution.data.combined, from, to, features.data.low.length ? numberRow() + 4 : 0)
  }
  for (const size of windows) {
    const name = "w" + size
    if (state.panels[name]) fitAttribution(panels[name], attribution.data[name], from, to, 0)
  }
}

function newTarget() {  // back to the whole spectrum, and to the file's redshift
  state.nudge = 0
  moveLines()
  startAnew()
  nameAxes()
  nameWhatIsKnown()
  followRest()
  followSecond()
  showRedshift()
  schedule()
}

imo.explorer?.stop?.()  // a page that is made anew has one dispatcher
window.addEventListener("keydown", onKey)
let resizing = null

function otherLetters() {  // of another size, or another room for them
  makeRoom()
  arrange()
  schedule()
}

function onResize() {
  clearTimeout(resizing)
  resizing = setTimeout(otherLetters, 150)
}
window.addEventListener("resize", onResize)

imo.explorer = {
  view, zoomTo, undo: undoView, frame, smooth, layer, panel: fold, second, nudge, useRedshift, asking, brushed,
  hover, tapped, moved, repaired, stopRepair, keys, state, method: chooseMethod, methods: listMethods,
  significance: drawSignificant, copy, placeMenu, switched, theme,
  letters() { otherLetters(); onResize() },  // the page around the panels changes with them, a little later
  target() { empty(); hideOldWords(target.data.id[0]); gather(300); newTarget() },  // its spectrum follows
  spectrum: newSpectrum,
  data: computed,
  stop() {
    window.removeEventListener("keydown", onKey)
    window.removeEventListener("resize", onResize)
  },
}
lighten()
paintThinned()
fitWith(fitPanels, fitMethods, fitSignificant, placeNumbers, fitSecond)
derive()
frameSecond()
showLegend()
newTarget()
listMethods()
drawSignificant()
tellPatches()
