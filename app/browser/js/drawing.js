// What follows the range in view is drawn anew in the next frame, however often it is asked for.
import {wavelength} from "./models.js"
import {pixel} from "./page.js"

let pending = null
let fitters = []

// Each is called with the first and the last pixel in view, in this order.
export function fitWith(...all) { fitters = all }

export function fit() {
  if (pending !== null) cancelAnimationFrame(pending)
  pending = null
  const from = pixel(wavelength.start), to = pixel(wavelength.end)
  for (const fitter of fitters) fitter(from, to)
}

export function schedule() {
  if (pending === null) pending = requestAnimationFrame(fit)
}
