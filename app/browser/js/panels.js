// Panels that fold, axes outside the first and last of them, and layers that are switched.
const AXIS_ROOM = 34  // pixels of a wavelength axis with its words

const slotOf = (name) => Number(name.slice("method".length))
const panelNamed = (name) => panels[name] ?? methodPanels[slotOf(name)]

function arrange() {
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
    const axes = (name === shown[0]) + (name === shown[shown.length - 1])
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

// Bokeh lays a hidden panel out anew at every change, for its axes ask for room in vain: they are hidden with it.
function put(panel, shown) {
  for (const axis of panel.left) axis.visible = shown
  panel.visible = shown
}

// What the axes mean for this target: without a redshift there is no rest frame, and nothing to normalise by.
const restWords = Object.values(axisModels)[0].above.rest.axis_label
const fluxWords = panels.spectrum.left[0].axis_label

function nameAxes() {
  for (const {above, below} of Object.values(axisModels)) {
    for (const {rest: axis} of [above, below]) {
      axis.axis_label = known() ? restWords : "rest-frame wavelength: the redshift is not known"
      axis.major_label_text_alpha = known() ? 1 : 0
    }
  }
  panels.spectrum.left[0].axis_label = target.data.normalised[0] ? fluxWords : "flux, not normalised"
}

// What this file says nothing of cannot be shown, and says so.
const NOISE_UNKNOWN = "noise not known", INSTRUMENT_UNKNOWN = "instrument not known"
const bandEntry = layerModels.noise.find((model) => model.type === "LegendItem")
const residualEntry = panels.residual.center.find((model) => model.type === "Legend").items[0]
const bandWords = bandEntry.label.value, residualWords = residualEntry.label.value

function nameWhatIsKnown() {
  const noise = noiseKnown(), part = partOfInstrument()
  bandEntry.label = {value: noise ? bandWords : NOISE_UNKNOWN}
  residualEntry.label = {value: noise ? residualWords : `residual: ${NOISE_UNKNOWN}, so there is none in σ`}
  offer("noise", noise ? "" : NOISE_UNKNOWN)
  for (const name of ["sky", "telluric", "overlap"]) offer(name, part ? "" : INSTRUMENT_UNKNOWN)
  const overlaps = part === "camera" ? "Camera overlaps" : part === "arm" ? "Arm overlaps" : "Overlaps"
  write('[data-words="overlap"]', overlaps)
}

function offer(layerName, why) {
  for (const box of findAll(`input[data-group="layer"][data-value="${layerName}"]`)) box.disabled = why !== ""
  write(`[data-why="${layerName}"]`, why && ` (${why})`)
}

function toggleNoise() {
  if (noiseKnown()) layer("noise", !state.layers.noise)
  else say(NOISE_UNKNOWN)
}

function toggleInstrument() {
  if (partOfInstrument()) toggleAll(["sky", "telluric", "overlap"])
  else say(`${INSTRUMENT_UNKNOWN}: neither sky lines, telluric bands nor overlaps are marked`)
}

function fold(name, shown) {
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

function foldWindows() {
  const names = windows.map((size) => "w" + size)
  const shown = !names.some((name) => state.panels[name])
  if (!shown && !Object.entries(state.panels).some(([name, on]) => on && !names.includes(name))) return
  for (const name of names) { state.panels[name] = shown; check("panel", name, shown) }
  arrange()
  schedule()
}

function frame(name) {
  state.frame = name
  for (const [of, models] of Object.entries(gridModels)) for (const model of models) model.visible = of === name
  arrange()
  frameSecond()
  press("frame", name)
}

function layer(name, shown) {
  state.layers[name] = shown
  for (const model of layerModels[name]) model.visible = shown
  check("layer", name, shown)
  if (name === "emission" || name === "absorption") placeLabels()
  if (name === "repair") legendOfRepair()
}

function toggleAll(names) {
  const shown = !names.some((name) => state.layers[name])
  for (const name of names) layer(name, shown)
}

function toggleModel() {
  const shown = !(state.layers.model || state.panels.residual)
  layer("model", shown)
  fold("residual", shown)
  if (shown && !spectrum.data.model.some(Number.isFinite)) say("the model's reconstruction is not there yet")
}
