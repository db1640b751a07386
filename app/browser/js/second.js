// The second view: a few pixels around Hα, cut out of what the panels show.
import {check, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {fitAttribution, fitSpectrum} from "./fitting.js"
import {attribution, drawn, secondView, singles} from "./models.js"
import {count, first, known, last, pixel, put, redshift, state} from "./page.js"

export function followSecond() {
  if (!state.second) return
  const z = known() ? redshift() : 0
  secondView.wavelength.setv({start: secondView.low * (1 + z), end: secondView.high * (1 + z)})
  secondView.rest.setv({start: secondView.low, end: secondView.high})
}

function cutSecond() {
  const {start, end} = secondView.wavelength
  const there = known() && end > first && start < last
  const from = there ? Math.max(0, pixel(start) - 2) : 0, to = there ? Math.min(count, pixel(end) + 3) : 0
  const cut = (values) => values.slice(from, to)
  const data = {x: cut(drawn.data.x)}
  for (const name of ["shown", "lower", "upper", "reconstruction"]) data[`cut_${name}`] = cut(drawn.data[name])
  for (const name of ["combined", "combined_lower", "combined_upper"]) data[`cut_${name}`] = cut(attribution.data[name])
  secondView.pixels.data = data
  const rows = Array.from(singles.data.baseline, cut).filter((row) => row.length)
  secondView.baselines.data = {xs: rows.map(() => data.x), cut_baseline: rows}
}

export function fitSecond() {
  if (!state.second) return
  cutSecond()
  const {data} = secondView.pixels
  const end = data.x.length - 1
  if (end < 0) return
  fitSpectrum(secondView.panels.spectrum, {shown: data.cut_shown, upper: data.cut_upper}, 0, end, 0)
  fitAttribution(secondView.panels.combined, data.cut_combined, 0, end, 0)
}

export function frameSecond() {
  const other = state.frame === "rest" ? "observed" : "rest"
  for (const panel of Object.values(secondView.panels)) put(panel, state.second)
  for (const name of ["observed", "rest"]) {
    secondView.below[name].visible = state.second && name === state.frame
    secondView.above[name].visible = state.second && name === other
    for (const model of secondView.grids[name]) model.visible = name === state.frame
  }
}

export function second(shown) {
  state.second = shown
  frameSecond()  // axes first: Bokeh lays out and paints what becomes visible at once
  secondView.layout.visible = shown
  check("second", "halpha", shown)
  if (!shown) return
  followSecond()
  schedule()
  if (!known()) say("second view: the redshift is not known")
  else if (secondView.wavelength.start > last) say(`${secondView.label} lies outside this spectrum`)
}
