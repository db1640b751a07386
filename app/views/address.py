"""The page's address follows target and view, and a page whose server came back finds its way. In the browser."""

import json

from bokeh.document import Document
from bokeh.models import CustomJS

from app.links import Place
from app.plots.stack import PlotStack

__all__ = ["follow_address"]

ALIVE = "alive"
"""Where the server says whether it still knows a page."""


def follow_address(document: Document, stack: PlotStack, place: Place, page: str) -> None:
    """Keep the address in step, without asking the server.

    Args:
        document: Of the page.
        stack: Whose target and view are followed.
        place: What the address asked for at first; its view is taken when its target is drawn.
        page: Key of this page, known to the server until the session ends.
    """
    wanted = {"view": place.view, "range": list(place.observed or ())} if place.target_id else {}
    target, wavelength = stack.sources.target, stack.axes.wavelength
    listed = stack.methods.listed
    args = {"target": target, "wavelength": wavelength, "methods": listed, "wanted": wanted, "page": page}
    start = CustomJS(args=args, code=_CODE.replace("ALIVE", json.dumps(ALIVE)))
    document.js_on_event("document_ready", start)
    later = CustomJS(code="window.imoAddress?.later()")
    for edge in ("start", "end"):
        wavelength.js_on_change(edge, later)
    target.js_on_change("data", CustomJS(code="window.imoAddress?.target()"))
    listed.js_on_change("data", later)
    document.js_on_event("connection_lost", CustomJS(code="window.imoAddress?.look(cb_obj)"))
    document.js_on_event("client_reconnected", CustomJS(code="window.imoAddress?.look(null)"))


_CODE = """
function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}
const find = (selector) => {
  for (const root of roots(document)) { const found = root.querySelector(selector); if (found) return found }
  return null
}
let timer = null, first = wanted, looking = false, leaving = false, lost = null

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

function banner(text) {
  let bar = document.getElementById("imo-connection")
  if (!text) { bar?.remove(); return }
  if (!bar) {
    bar = document.createElement("div")
    bar.id = "imo-connection"
    bar.setAttribute("role", "alert")
    bar.style.cssText = "position:fixed;bottom:0;left:0;right:0;z-index:2000;background:#7a2b00;color:#fff;" +
      "padding:8px 16px;font:14px system-ui,sans-serif;display:flex;gap:16px;align-items:center"
    document.body.append(bar)
  }
  bar.replaceChildren(text)
  return bar
}

const unsaved = () => find("[data-unsaved]") !== null
function again() { leaving = true; location.reload() }

// Whether the server knows this page: one that was restarted does not, nor one that has given the session up.
// If it does, and Bokeh has given up connecting (after a minute), it is told to try again.
async function look(event) {
  lost = event
  if (looking) return
  looking = true
  for (;;) {
    try {
      const answer = await fetch(ALIVE + "?page=" + page, {cache: "no-store"})
      const known = answer.ok && (await answer.text()).trim() === "yes"
      if (known) {
        banner("")
        if (lost !== null && lost.timeout === null) setTimeout(() => lost?.reconnect(), 1500)
        break
      }
      if (answer.ok) {
        if (!unsaved()) { again(); return }
        const button = document.createElement("button")
        button.textContent = "Load the page again"
        button.onclick = again
        banner("The server was started again. What you wrote last is not saved: copy it, then load the page again.")
          .append(button)
        break
      }
    } catch { /* nobody there yet */ }
    banner("The server does not answer. Saved labels are safe; this page comes back by itself when it does.")
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
  looking = false
}

window.addEventListener("beforeunload", (event) => { if (!leaving && unsaved()) event.preventDefault() })
window.imoAddress = {later, target: changed, look}
changed()
"""
