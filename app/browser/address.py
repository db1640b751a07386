"""The page's address follows target and view, in the browser."""

from bokeh.document import Document
from bokeh.models import CustomJS

from app.plots.stack import PlotStack
from app.state.links import Place

__all__ = ["follow_address"]


def follow_address(document: Document, stack: PlotStack, place: Place) -> None:
    """Keep the address in step, without asking the server.

    Args:
        document: Of the page.
        stack: Whose target and view are followed.
        place: What the address asked for at first; its view is taken when its target is drawn.
    """
    wanted = {"view": place.view, "range": list(place.observed or ())} if place.target_id else {}
    target, wavelength = stack.sources.target, stack.axes.wavelength
    listed = stack.methods.listed
    args = {"target": target, "wavelength": wavelength, "methods": listed, "wanted": wanted}
    document.js_on_event("document_ready", CustomJS(args=args, code=_CODE))
    later = CustomJS(code="window.imoAddress?.later()")
    for edge in ("start", "end"):
        wavelength.js_on_change(edge, later)
    target.js_on_change("data", CustomJS(code="window.imoAddress?.target()"))
    listed.js_on_change("data", later)


_CODE = """
function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}
const find = (selector) => {
  for (const root of roots(document)) { const found = root.querySelector(selector); if (found) return found }
  return null
}
let timer = null, first = wanted

function write() {
  timer = null
  const query = new URLSearchParams(location.search)
  for (const name of ["target", "view", "range", "compare"]) query.delete(name)
  const id = target.data.id[0]
  if (!id) return
  const parts = ["target=" + encodeURIComponent(id)]
  const view = find('button[data-group="view"][aria-pressed="true"]')?.dataset.value
  if (view && view !== "full") parts.push("view=" + encodeURIComponent(view))
  if (!view) parts.push("range=" + wavelength.start.toFixed(1) + "-" + wavelength.end.toFixed(1))
  const {name, shown} = methods.data
  if (shown[0]) parts.push("compare=" + (name.slice(1).join(",") || "none"))
  const rest = query.toString()
  history.replaceState(history.state, "", "?" + parts.join("&") + (rest ? "&" + rest : ""))
  document.title = id + " · IMO Explorer"
}
function later() { if (timer !== null) clearTimeout(timer); timer = setTimeout(write, 300) }

function changed() {
  if (first !== null && target.data.id[0]) {
    const {view, range} = first
    first = null
    const explorer = window.imoExplorer
    if (view && find(`button[data-group="view"][data-value="${CSS.escape(view)}"]`)) {
      explorer?.view(view)
    } else if (range?.length) {
      wavelength.setv({start: range[0], end: range[1]})
    }
  }
  later()
}

window.imoAddress = {later, target: changed}
changed()
"""
