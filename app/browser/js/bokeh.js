// What Bokeh (3.9) does at every paint or change of data though nothing needs it.
import {instead, insteadOf} from "./patches.js"

// How the parts that draw a curve are called.
export const CURVES = {line: "LineView", step: "StepView", varea: "VAreaView"}

export function lighten() {
  // it asks the browser for a CSS variable at each use of each colour; this page sets none
  instead("core/visuals/visual", "VisualProperties", "_get_css_value", 1, () => () => "")
  // it writes style sheets that are there already, and then measures: the browser works out all styles in between
  instead("core/dom", "InlineStyleSheet", "_update", 1, (update) => function (css) {
    if (this.el.textContent !== css) update.call(this, css)
  })
  // it moves an element without content to where each curve lies, and the browser works out all styles again
  instead("models/renderers/glyph_renderer", "GlyphRendererView", "update_position", 0, () => () => {})
  // it picks values one by one though all are wanted
  instead("core/util/bitset", "BitSet", "select", 1, (select) => function (values) {
    const all = this.size === values.length && this.count === this.size && values.slice
    return all ? values.slice() : select.call(this, values)
  })
  // it asks the browser for the size of letters at each number of an axis; sizes here do not depend on it
  insteadOf("models/plots/plot_canvas", "PlotView", {}, {base_font_size: () => null})
  // it sorts all points of a curve for pointers that nothing here looks for; its extent is what axes may ask for
  for (const [part, kind] of Object.entries(CURVES)) {
    insteadOf(`models/glyphs/${part}`, kind, {
      _index_data: [1, (all) => function (index) {
        const box = new Extent()
        all.call(this, box)
        index.add_rect(box.x0, box.y0, box.x1, box.y1)
      }],
    }, {_index_size: () => 1})
  }
}

class Extent {
  x0 = Infinity
  y0 = Infinity
  x1 = -Infinity
  y1 = -Infinity

  add_empty() {}
  add_point(x, y) { this.add_rect(x, y, x, y) }
  add_rect(x0, y0, x1, y1) {
    if (!Number.isFinite(x0 + y0 + x1 + y1)) return
    this.x0 = Math.min(this.x0, x0)
    this.y0 = Math.min(this.y0, y0)
    this.x1 = Math.max(this.x1, x1)
    this.y1 = Math.max(this.y1, y1)
  }
}

const keptViews = new WeakMap()  // to look for one takes milliseconds

export function viewOf(model) {
  if (!keptViews.get(model)?.el.isConnected) keptViews.set(model, Bokeh.index.find_one(model))
  return keptViews.get(model)
}
