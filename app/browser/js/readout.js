// The line of numbers that follows the mouse.
import {read} from "./dom.js"
import {featureAt, nearestLine} from "./lines.js"
import {attribution, features, idle, instrument, spectrum, target} from "./models.js"
import {numberAt} from "./numbers.js"
import {first, known, last, noiseKnown, number, pixel, redshift, state} from "./page.js"
import {significantAt} from "./significant.js"
import {zoomTo} from "./view.js"

function instrumentAt(angstrom) {
  const {name, low, high} = instrument.data
  const found = new Set()
  for (let i = 0; i < low.length; i++) if (angstrom >= low[i] && angstrom <= high[i]) found.add(name[i])
  return [...found]
}

export function hover(x) {
  if (!(x >= first && x <= last)) { read(idle, true); return }
  const i = pixel(x)
  const {flux, sigma, model} = spectrum.data
  const parts = [`${x.toFixed(1)} Å`]
  if (known()) parts.push(`rest ${(x / (1 + redshift())).toFixed(1)} Å`)
  const noise = noiseKnown() ? ` ± ${number(sigma[i])}` : " (noise not known)"
  const words = target.data.normalised[0] ? "normalised flux" : "flux"
  parts.push(Number.isFinite(flux[i]) ? `${words} ${number(flux[i])}${noise}` : "masked")
  if (state.layers.model && Number.isFinite(model[i])) parts.push(`model ${number(model[i])}`)
  const significant = significantAt(i).map((name) => name.replace(/^w/, "W = "))
  parts.push(`IMO ${number(attribution.data.combined[i])}${significant.length ? ` (significant: ${significant.join(", ")})` : ""}`)
  const line = nearestLine(x)
  if (line && Math.abs(line.speed) < 3000) {
    parts.push(`${line.name} ${line.speed < 0 ? "−" : "+"}${Math.abs(line.speed).toFixed(0)} km/s`)
  }
  const feature = featureAt(x)
  if (feature >= 0) parts.push(`feature ${features.data.number[feature]}`)
  read([...parts, ...instrumentAt(x)].join(" · "))
}

export function tapped(sx, sy) {  // on the number of a feature
  const feature = numberAt(sx, sy)
  if (feature >= 0) zoomTo(features.data.low[feature], features.data.high[feature])
}
