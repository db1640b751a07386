// Bokeh paints each point of a curve, ten in a column of pixels while the whole spectrum is in view, and the browser
// spends most of its time on them. Of points that follow each other in one column only the lowest and the highest are
// painted here: together they cover the same pixels. Zoomed in, all are.
import {CURVES} from "./bokeh.js"
import {instead} from "./patches.js"

const CROWD = 4  // points in a column from which on it pays

export function crowded(sx) {
  const width = Math.abs(sx[sx.length - 1] - sx[0]) * window.devicePixelRatio
  return width > 0 && sx.length / width >= CROWD
}

// Calls take(i, broken) with the points to draw: whether the curve begins anew there, at first or behind a gap.
function thin(sx, sy, take) {
  const ratio = window.devicePixelRatio
  let column = NaN, lowest = -1, highest = -1, broken = true
  const end = () => {
    if (lowest < 0) return
    const from = Math.min(lowest, highest), to = Math.max(lowest, highest)
    take(from, broken)
    if (to !== from) take(to, false)
    broken = false
    lowest = highest = -1
  }
  for (let i = 0; i < sx.length; i++) {
    if (!Number.isFinite(sx[i] + sy[i])) { end(); broken = true; column = NaN; continue }
    const here = Math.floor(sx[i] * ratio)
    if (here !== column) { end(); column = here; lowest = highest = i }
    else if (sy[i] < sy[lowest]) lowest = i
    else if (sy[i] > sy[highest]) highest = i
  }
  end()
}

export function thinnedPath(ctx, sx, sy) {
  thin(sx, sy, (i, broken) => broken ? ctx.moveTo(sx[i], sy[i]) : ctx.lineTo(sx[i], sy[i]))
}

export function thinnedArea(ctx, sx, sy1, sy2) {
  const points = []
  thin(sx, sy1.map((y, i) => y + sy2[i]), (i) => points.push(i))  // across gaps, as Bokeh draws it
  for (const i of points) ctx.lineTo(sx[i], sy1[i])
  for (const i of points.reverse()) ctx.lineTo(sx[i], sy2[i])
}

export function paintThinned() {
  /** @this {any} */
  const stroke = function (ctx, {sx, sy}) {
    thinnedPath(ctx, sx, sy)
    this.visuals.line.set_value(ctx)
    ctx.stroke()
  }
  /** @this {any} */
  const fill = function (ctx, {sx, sy1, sy2}) {
    thinnedArea(ctx, sx, sy1, sy2)
    ctx.closePath()
    this.visuals.fill.apply(ctx)
    this.visuals.hatch.apply(ctx)
  }
  for (const [part, kind] of Object.entries(CURVES)) {
    const paint = part === "varea" ? fill : stroke
    instead(`models/glyphs/${part}`, kind, "_paint", 3, (whole) => function (ctx, indices, data) {
      const at = data ?? this
      if (at.sx?.length !== indices.length || this.parent.nonselection_glyph === this || !crowded(at.sx)) {
        whole.call(this, ctx, indices, data)
        return
      }
      ctx.beginPath()
      paint.call(this, ctx, at)
    })
  }
  instead("models/glyphs/multi_line", "MultiLineView", "_paint", 3, (whole) => function (ctx, indices, data) {
    const {sxs, sys} = data ?? this
    for (const i of indices) {
      const sx = sxs.get(i), sy = sys.get(i)
      if (sx.length !== sy.length || !crowded(sx)) { whole.call(this, ctx, [i], data); continue }
      ctx.beginPath()
      thinnedPath(ctx, sx, sy)
      this.visuals.line.set_vectorize(ctx, i)
      ctx.stroke()
    }
  })
}
