// Layers that are switched, and what the file of a target says nothing of: that cannot be shown, and says so.
import {check, findAll, say, write} from "./dom.js"
import {NOISE_UNKNOWN, showLegend} from "./legend.js"
import {everyLineInView, placeLabels} from "./lines.js"
import {layerModels} from "./models.js"
import {noiseKnown, partOfInstrument, state} from "./page.js"

const INSTRUMENT_UNKNOWN = "instrument not known"

export function nameWhatIsKnown() {
  const noise = noiseKnown(), part = partOfInstrument()
  showLegend()
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
  if (["emission", "absorption", "weak"].includes(name)) placeLabels()
  showLegend()
}

export function toggleAll(names) {
  const shown = !names.some((name) => state.layers[name])
  for (const name of names) layer(name, shown)
}

// The lines that matter; all of them; none.
export function nextLines() {
  const shown = state.layers.emission || state.layers.absorption
  if (shown && !everyLineInView()) { layer("weak", true); say("all lines are marked"); return }
  layer("weak", false)
  for (const name of ["emission", "absorption"]) layer(name, !shown)
  say(shown ? "no lines are marked" : "lines are marked")
}
