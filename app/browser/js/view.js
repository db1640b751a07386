// The wavelength range in view, and its history.
import {press, say} from "./dom.js"
import {schedule} from "./drawing.js"
import {rest, views, wavelength} from "./models.js"
import {first, known, last, redshift, step} from "./page.js"

const earlier = []
let settled = [wavelength.start, wavelength.end]
let quiet = null
let asked = []  // the range that a button asked for

export function followRest() {
  const z = known() ? redshift() : 0
  rest.setv({start: wavelength.start / (1 + z), end: wavelength.end / (1 + z)})
}

function remember() {
  quiet = null
  const now = [wavelength.start, wavelength.end]
  if (Math.abs(now[0] - settled[0]) + Math.abs(now[1] - settled[1]) < 0.01) return
  earlier.push(settled)
  if (earlier.length > 50) earlier.shift()
  settled = now
}

export function moved() {
  followRest()
  schedule()
  if (wavelength.start !== asked[0] || wavelength.end !== asked[1]) press("view", "")
  if (quiet !== null) clearTimeout(quiet)
  quiet = setTimeout(remember, 300)
}

// A view that was reached less than 0.3 s ago counts too when something else is asked for.
function settle() {
  if (quiet === null) return
  clearTimeout(quiet)
  remember()
}

function show(low, high) {
  asked = [low, high]
  wavelength.setv({start: low, end: high})
}

const everything = () => [first - 0.01 * (last - first), last + 0.01 * (last - first)]

export function view(name) {
  settle()
  const wanted = views[name]
  if (wanted.low === null || wanted.high === null) { show(...everything()); press("view", name); return }
  if (!known()) { say(`${wanted.label}: the redshift is not known`); return }
  const low = wanted.low * (1 + redshift()), high = wanted.high * (1 + redshift())
  if (high < first || low > last) {
    say(`${wanted.label} lies at ${((low + high) / 2).toFixed(0)} Å, outside this spectrum`)
    return
  }
  show(low, high)
  press("view", name)
}

// A range with its surroundings, so that what it stands out of is seen too.
export function zoomTo(low, high) {
  if (!(high >= low) || high < first || low > last) { say("that range lies outside this spectrum"); return }
  settle()
  const pad = Math.max(1.5 * (high - low), 30)
  show(Math.max(first, low - pad), Math.min(last, high + pad))
  press("view", "")
}

export function undoView() {
  settle()
  const before = earlier.pop()
  if (!before) { say("no earlier view"); return }
  settled = before
  show(...before)
  press("view", "")
}

export function zoomBy(factor) {
  const middle = (wavelength.start + wavelength.end) / 2
  const half = Math.min(factor * (wavelength.end - wavelength.start), 1.02 * (last - first)) / 2
  if (half > 3 * step) move(middle - half, middle + half)
}

export function panBy(share) {
  const shift = share * (wavelength.end - wavelength.start)
  move(wavelength.start + shift, wavelength.end + shift)
}

function move(low, high) {  // never out of the spectrum
  const [least, most] = everything()
  const shift = Math.max(least - low, 0) || Math.min(most - high, 0)
  wavelength.setv({start: low + shift, end: high + shift})
}

export function startAnew() {
  earlier.length = 0
  show(...everything())
  settled = [wavelength.start, wavelength.end]
  press("view", "full")
}
