// Layers that are switched, and what the file of a target says nothing of: that cannot be shown, and says so.
import {check, findAll, say, write} from "./dom.js"
import {placeLabels} from "./lines.js"
import {layerModels, panels, repairs} from "./models.js"
import {noiseKnown, partOfInstrument, state} from "./page.js"

const NOISE_UNKNOWN = "noise not known", INSTRUMENT_UNKNOWN = "instrument not known"
/** @type {any} */
const bandEntry = layerModels.noise.find((model) => model.type === "LegendItem")
const residualEntry = panels.residual.center.find((model) => model.type === "Legend").items[0]
const bandWords = bandEntry.label.value, residualWords = residualEntry.label.value

export function nameWhatIsKnown() {
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

export function toggleNoise() {
  if (noiseKnown()) layer("noise", !state.layers.noise)
  else say(NOISE_UNKNOWN)
}

export function toggleInstrument() {
  if (partOfInstrument()) toggleAll(["sky", "telluric", "overlap"])
  else say(`${INSTRUMENT_UNKNOWN}: neither sky lines, telluric bands nor overlaps are marked`)
}

export function layer(name, shown) {
  state.layers[name] = shown
  for (const model of layerModels[name]) model.visible = shown
  check("layer", name, shown)
  if (name === "emission" || name === "absorption") placeLabels()
  if (name === "repair") legendOfRepair()
}

export function toggleAll(names) {
  const shown = !names.some((name) => state.layers[name])
  for (const name of names) layer(name, shown)
}

// Its entry in the legend comes with it.
export function legendOfRepair() {
  for (const item of layerModels.repair.filter((model) => model.type === "LegendItem")) {
    item.visible = state.layers.repair && repairs.data.low.length > 0
  }
}
