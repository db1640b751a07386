// What the page's buttons and other views may call, and how the page begins.
let fluxBefore = spectrum.data.flux
let blank = false

// What was computed belongs to the spectrum before; the server has forgotten it too.
function empty() {
  if (blank) return
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
  significance.data.why_not[0] = "known when all window sizes are computed"
  drawSignificant()
}

function newSpectrum() {
  if (spectrum.data.flux !== fluxBefore) {  // and not only the reconstruction
    fluxBefore = spectrum.data.flux
    empty()
    if (!blank) for (const source of [attribution, singles, scaleMap, features, repairs, methodValues]) source.change.emit()
    blank = true
    legendOfRepair()
  }
  derive()
  release()
}

// Several sources change one after the other: the panels are painted when the last one is there.
let gathering = null

function gather(longest) {
  if (gathering === null) hold(true)
  clearTimeout(gathering)
  gathering = setTimeout(release, longest)
}

function release() {
  clearTimeout(gathering)
  gathering = null
  fit()
  hold(false)
}

function hold(on) {
  for (const panel of allPanels()) panel.hold_render = on
}

function computed(complete) {
  blank = false
  gather(40)
  if (state.significant) drawSignificant()
  if (complete) release()
}

function newTarget() {  // back to the whole spectrum, and to the label's redshift
  history.length = 0
  state.nudge = 0
  moveLines()
  show(...everything())
  settled = [wavelength.start, wavelength.end]
  press("view", "full")
  nameAxes()
  followRest()
  followSecond()
  showRedshift()
  schedule()
}

window.imoExplorer?.stop?.()  // a page that is made anew has one dispatcher
window.addEventListener("keydown", onKey)
let resizing = null
function onResize() {
  clearTimeout(resizing)
  resizing = setTimeout(() => { arrange(); schedule() }, 150)
}
window.addEventListener("resize", onResize)

window.imoExplorer = {
  view, zoomTo, undo: undoView, frame, smooth, layer, panel: fold, second, nudge, useRedshift, asking, brushed,
  hover, tapped, moved, repaired, stopRepair, keys, state, method: chooseMethod, methods: listMethods,
  significance: drawSignificant,
  target() { empty(); gather(300); newTarget() },  // its spectrum follows
  spectrum: newSpectrum,
  data: (complete = false) => computed(complete),
  stop() {
    window.removeEventListener("keydown", onKey)
    window.removeEventListener("resize", onResize)
  },
}
derive()
legendOfRepair()
newTarget()
listMethods()
drawSignificant()
