// The one legend above the panels names what is drawn of them now.
import {find, write} from "./dom.js"
import {repairs} from "./models.js"
import {noiseKnown, state} from "./page.js"

export const NOISE_UNKNOWN = "noise not known"

export function showLegend() {
  const {layers, panels} = state
  const values = Object.entries(panels).some(([name, on]) => on && /^(combined|w\d+)$/.test(name))
  const shown = {
    spectrum: panels.spectrum || panels.residual,
    noise: panels.spectrum && layers.noise,
    baselines: layers.baselines,
    model: panels.spectrum && layers.model,
    repair: panels.spectrum && layers.repair && repairs.data.low.length > 0,
    combined: values,
    scatter: panels.combined,
    map: panels.map,
    residual: panels.residual && !noiseKnown(),
  }
  for (const [name, on] of Object.entries(shown)) {
    const entry = find(`[data-legend="${name}"]`)
    if (entry) entry.hidden = !on
  }
  const entry = (name, words) => write(`[data-legend-words="${name}"]`, words)
  entry("spectrum", state.smoothing ? `spectrum, mean of ${state.smoothing} pixels` : "spectrum")
  entry("noise", noiseKnown() ? "± 1 σ" : NOISE_UNKNOWN)
  entry("residual", `residual: ${NOISE_UNKNOWN}, so there is none in σ`)
}
