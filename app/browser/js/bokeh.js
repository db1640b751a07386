// What Bokeh (3.9) does at every paint or change of data though nothing needs it.
const bokehPart = (name) => { try { return Bokeh.loader[name] ?? {} } catch { return {} } }

// Puts another method in the place of Bokeh's, once; a release whose parts have other names keeps its own.
function instead(part, kind, name, make) {
  const prototype = bokehPart(part)[kind]?.prototype
  const own = prototype?.[name]
  if (typeof own !== "function" || own.imoExplorer) return
  prototype[name] = Object.assign(make(own), {imoExplorer: true})
}

// How the parts that draw a curve are called.
const CURVES = {line: "LineView", step: "StepView", varea: "VAreaView"}

function lighten() {
  // it asks the browser for a CSS variable at each use of each colour; this page sets none
  instead("core/visuals/visual", "VisualProperties", "_get_css_value", () => () => "")
  // it writes style sheets that are there already, and then measures: the browser works out all styles in between
  instead("core/dom", "InlineStyleSheet", "_update", (update) => function (css) {
    if (this.el.textContent !== css) update.call(this, css)
  })
  // it moves an element without content to where each curve lies, and the browser works out all styles again
  instead("models/renderers/glyph_renderer", "GlyphRendererView", "update_position", () => () => {})
  // it picks values one by one though all are wanted
  instead("core/util/bitset", "BitSet", "select", (select) => function (values) {
    const all = this.size === values.length && this.count === this.size && values.slice
    return all ? values.slice() : select.call(this, values)
  })
  // it asks the browser for the size of letters at each number of an axis; sizes here do not depend on it
  const plot = bokehPart("models/plots/plot_canvas").PlotView?.prototype
  if (plot && "base_font_size" in plot) Object.defineProperty(plot, "base_font_size", {configurable: true, get: () => null})
  // it sorts all points of a curve for pointers that nothing here looks for; its extent is what axes may ask for
  for (const [part, kind] of Object.entries(CURVES)) {
    const view = bokehPart(`models/glyphs/${part}`)[kind]?.prototype
    if (!view || !("_index_size" in view)) continue
    instead(`models/glyphs/${part}`, kind, "_index_data", (all) => {
      Object.defineProperty(view, "_index_size", {configurable: true, get: () => 1})
      return function (index) {
        const box = new Extent()
        all.call(this, box)
        index.add_rect(box.x0, box.y0, box.x1, box.y1)
      }
    })
  }
  paintThinned()
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
