// The page's address follows target and view, so that it can be copied and opened again.
import {methods, target, wanted, wavelength} from "./address_models.js"
import {find} from "./dom.js"
import {imo} from "./imo.js"

let timer = null
/** @type {AddressModels["wanted"] | null} */
let first = wanted  // view and range of the first target

function writeAddress() {
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
function later() { if (timer !== null) clearTimeout(timer); timer = setTimeout(writeAddress, 300) }

function changed() {
  if (first !== null && target.data.id[0]) {
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

imo.address = {later, target: changed}
changed()
