// Asking about a range: drag over any panel. Python hears of it while it is drawn, and when the mouse is released.
import {press, say} from "./dom.js"
import {imo} from "./imo.js"
import {brush, rangeTools, zoomTools} from "./models.js"
import {count, first, rangeWords, state, step} from "./page.js"

const BRUSHING = 150  // ms from one range to the next while the mouse is down
let brushedLast = 0

export function asking(on) {
  state.asking = on
  for (const tool of on ? rangeTools : zoomTools) tool.active = true
  press("drag", on ? "ask" : "zoom")
  if (on) say("drag over a range to ask about it")
}

// First and last pixel in a range: what is asked about is what is drawn and named.
function rangeOf(low, high) {
  const rounding = 1e-3  // pixels: an end that is a pixel's wavelength is in
  const from = Math.max(0, Math.ceil((low - first) / step - rounding))
  const to = Math.min(count - 1, Math.floor((high - first) / step + rounding))
  return high - low >= step && to >= from ? {low: [first + from * step], high: [first + to * step]} : null
}

export function ask(low, high) {
  const data = rangeOf(low, high)
  if (data === null) { say("that range is less than one pixel"); return }
  brush.data = data  // drawn on every panel
  say(`asked about ${rangeWords(data.low[0], data.high[0])}`)
}

export function brushed(geometry, final) {
  if (geometry.type !== "rect") return
  const low = Math.min(geometry.x0, geometry.x1), high = Math.max(geometry.x0, geometry.x1)
  if (final) { ask(low, high); return }
  const now = performance.now(), data = rangeOf(low, high)
  if (data === null || now - brushedLast < BRUSHING) return
  brushedLast = now
  imo.tell?.("brushing", [data.low[0], data.high[0]])
}

export function forgetRange() {
  if (brush.data.low.length) brush.data = {low: [], high: []}
}
