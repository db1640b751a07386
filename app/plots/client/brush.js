// Asking about a range: drag over any panel. The range is sent when the mouse is released, as one event.
function asking(on) {
  state.asking = on
  for (const tool of on ? rangeTools : zoomTools) tool.active = true
  press("drag", on ? "ask" : "zoom")
  if (on) say("drag over a range to ask about it")
}

function ask(low, high) {
  low = Math.max(first, low)
  high = Math.min(last, high)
  if (!(high - low >= step)) { say("that range is less than one pixel"); return }
  brush.data = {low: [low], high: [high]}
  say(`asked about ${low.toFixed(1)} to ${high.toFixed(1)} Å`)
}

function brushed(geometry, final) {
  if (final && geometry.type === "rect") ask(Math.min(geometry.x0, geometry.x1), Math.max(geometry.x0, geometry.x1))
}

function forgetRange() {
  if (brush.data.low.length) brush.data = {low: [], high: []}
}
