// The page's address follows target and view, so that it can be copied and opened again. Back and Forward go from one
// target that was looked at to another; those that were only passed on the way are none of them.
import {methods, target, wanted, wavelength} from "./address_models.js"
import {find} from "./dom.js"
import {imo} from "./imo.js"

let timer = null
/** @type {AddressModels["wanted"] | null} */
let first = wanted  // view and range of the target that comes
let at = ""  // target of the entry of the history where the page is
let stayed = false, staying = null  // whether it was in sight for long enough to come back to it

function writeAddress(anew = false) {
  clearTimeout(timer)
  timer = null
  const query = new URLSearchParams(location.search)
  for (const name of ["target", "view", "range", "compare"]) query.delete(name)
  const id = target.data.id[0]
  if (!id || id !== at) return  // another one is on its way
  const parts = ["target=" + encodeURIComponent(id)]
  const view = find('button[data-group="view"][aria-pressed="true"]')?.dataset.value
  if (view && view !== "full") parts.push("view=" + encodeURIComponent(view))
  if (!view) parts.push("range=" + wavelength.start.toFixed(1) + "-" + wavelength.end.toFixed(1))
  const {name, shown} = methods.data
  if (shown[0]) parts.push("compare=" + (name.slice(1).join(",") || "none"))
  const rest = query.toString(), address = "?" + parts.join("&") + (rest ? "&" + rest : "")
  if (anew) history.pushState(null, "", address)
  else history.replaceState(history.state, "", address)
  document.title = id + " · IMO Explorer"
}
function later() { clearTimeout(timer); timer = setTimeout(writeAddress, 300) }

function enter(id) {
  at = id
  stayed = false
  clearTimeout(staying)
  staying = setTimeout(() => { stayed = true }, imo.address.longEnough)
}

function changed() {
  const id = target.data.id[0]
  if (!id) return
  if (id !== at) {  // and not where Back or Forward has led
    const anew = stayed
    first = at ? null : first
    enter(id)
    if (anew) writeAddress(true)
  }
  if (first !== null) {
    const {view, range} = first
    first = null
    const explorer = imo.explorer
    if (view && find(`button[data-group="view"][data-value="${CSS.escape(view)}"]`)) {
      explorer?.view(view)
    } else if (range?.length) {
      wavelength.setv({start: range[0], end: range[1]})
    }
  }
  later()
}

function onPopState() {
  const query = new URLSearchParams(location.search), id = query.get("target")
  if (!id) return
  const range = (query.get("range") ?? "").split("-").map(Number)
  first = {view: query.get("view") ?? "full", range: range.length === 2 && range.every(Number.isFinite) ? range : []}
  if (query.has("range")) first.view = ""
  enter(id)
  stayed = true  // it was one to come back to
  if (id === target.data.id[0]) changed()
  else if (imo.connection?.gone()) imo.connection.refuses("Another target")
  else imo.tell?.("open", id)
}

imo.address?.stop()
window.addEventListener("popstate", onPopState)
imo.address = {
  later, target: changed,
  longEnough: 1000,  // ms
  stop() { window.removeEventListener("popstate", onPopState) },
}
changed()
