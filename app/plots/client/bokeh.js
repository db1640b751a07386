// Two things that Bokeh (3.9) does at every paint though nothing has changed. A release whose parts have other names
// does them as before.
function lighten() {
  const parts = (name) => { try { return Bokeh.loader[name] ?? {} } catch { return {} } }
  // it asks the browser for a CSS variable at each use of each colour; this page sets none
  const visuals = parts("core/visuals/visual").VisualProperties?.prototype
  if (visuals?._get_css_value) visuals._get_css_value = () => ""
  // it writes style sheets that are there already, and then measures: the browser works out all styles in between
  const sheet = parts("core/dom").InlineStyleSheet?.prototype
  const update = sheet?._update
  if (!update || sheet.imoExplorer) return
  sheet.imoExplorer = true
  sheet._update = function (css) { if (this.el.textContent !== css) update.call(this, css) }
}
