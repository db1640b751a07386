// What Python computes of a target: its panels are emptied, wait for it and are painted when the last of it is there.
import {viewOf} from "./bokeh.js"
import {allPanels} from "./columns.js"
import {fit} from "./drawing.js"
import {showLegend} from "./legend.js"
import {
  attribution, features, methodValues, notYet, panels, repairs, scaleMap, significance, singles, spectrum,
} from "./models.js"
import {state} from "./page.js"
import {drawSignificant} from "./significant.js"
import {derive} from "./spectrum.js"

let fluxBefore = spectrum.data.flux
let blank = false

// What was computed belongs to the spectrum before; the server has forgotten it too.
const ofAttribution = {attribution, singles, map: scaleMap, features, repair: repairs, methods: methodValues}
const emptied = new Set()  // those of them whose panels have not heard of it yet

export function empty() {
  if (blank) return
  blank = true
  for (const [name, values] of Object.entries(attribution.data)) {
    if (name !== "x") attribution.data[name] = new Float32Array(values.length).fill(NaN)
  }
  for (const [name, rows] of Object.entries(singles.data)) {
    if (name !== "xs") singles.data[name] = Array.from(rows, () => new Float32Array(0))
  }
  scaleMap.data.image[0].fill(NaN)
  for (const values of Object.entries(methodValues.data)) if (values[0] !== "x") values[1].fill(NaN)
  for (const source of [features, repairs]) for (const name of Object.keys(source.data)) source.data[name] = []
  significance.data.bits[0] = new Int32Array(0)
  significance.data.why_not[0] = notYet
  drawSignificant()
  for (const name of Object.keys(ofAttribution)) emptied.add(name)
}

function emitted(names) {
  for (const name of names) {
    ofAttribution[name].change.emit()
    emptied.delete(name)
  }
}

export function newSpectrum() {
  const another = spectrum.data.flux !== fluxBefore  // and not only the reconstruction
  fluxBefore = spectrum.data.flux
  if (another) empty()
  derive()
  if (!another) return
  showLegend()
  emitted(["singles", "repair"])  // drawn into the spectrum's panel, which waits no longer
  fit()
  hold(false, [panels.spectrum, panels.residual])
  gather(1000, allPanels().filter((panel) => panel !== panels.spectrum && panel !== panels.residual))
  fade()
}

// Several sources change one after the other: the panels are painted when the last one is there.
let gathering = null

export function gather(longest, waiting = allPanels()) {
  hold(true, waiting)
  clearTimeout(gathering)
  gathering = setTimeout(release, longest)
}

function release() {
  clearTimeout(gathering)
  gathering = null
  emitted([...emptied])
  fit()
  requestAnimationFrame(unfade)  // in the frame of the paints, before them: each would find its styles changed
  hold(false)
}

// A panel paints the whole of itself when it hears that it was held, and else only what has changed.
function hold(on, which = allPanels()) {
  for (const panel of which) {
    if (panel.hold_render === on) continue
    panel.setv({hold_render: on}, {silent: true})
    if (!on) viewOf(panel)?.schedule_paint()
  }
}

// Panels that wait for their new values are seen to: what they show belongs to another spectrum.
const faded = new Set()

function fade() {
  for (const panel of allPanels().filter((one) => one.hold_render)) {
    const view = viewOf(panel)
    if (!view) continue
    view.el.style.opacity = 0.25
    faded.add(view)
  }
}

function unfade() {
  for (const view of faded) view.el.style.opacity = ""
  faded.clear()
}

export function arrived(name) {
  blank = false
  emptied.delete(name)
}

export function computed(name) {
  arrived(name)
  gather(emptied.size ? 300 : 40)
  if (name !== "map") return  // it comes last
  if (state.significant) drawSignificant()
  release()
}
