// The keyboard: one dispatcher for the page. The list of keys comes from Python; here is what they do.
import {ask, asking, forgetRange} from "./brush.js"
import {find, roots} from "./dom.js"
import {forward} from "./forward.js"
import {help} from "./help.js"
import {imo} from "./imo.js"
import {nextLines, toggleInstrument, toggleNoise} from "./layers.js"
import {nudge} from "./lines.js"
import {keyboard, views, wavelength} from "./models.js"
import {state} from "./page.js"
import {foldWindows, frame, toggleModel} from "./panels.js"
import {repair} from "./repair.js"
import {second} from "./second.js"
import {significantOnly} from "./significant.js"
import {smoothStep} from "./spectrum.js"
import {theme} from "./theme.js"
import {panBy, undoView, view, zoomBy} from "./view.js"

const actions = {
  class: () => imo.form?.choose(),
  brush: () => asking(!state.asking),
  "brush-view": () => ask(wavelength.start, wavelength.end),
  "undo-view": undoView,
  "zoom-in": () => zoomBy(0.6),
  "zoom-out": () => zoomBy(1 / 0.6),
  "pan-blue": () => panBy(-0.25),
  "pan-red": () => panBy(0.25),
  "smooth-more": () => smoothStep(1),
  "smooth-less": () => smoothStep(-1),
  frame: () => frame(state.frame === "rest" ? "observed" : "rest"),
  "nudge-up": () => nudge(1),
  "nudge-down": () => nudge(-1),
  "nudge-up-more": () => nudge(10),
  "nudge-down-more": () => nudge(-10),
  "nudge-reset": () => nudge(0),
  lines: nextLines,
  instrument: toggleInstrument,
  noise: toggleNoise,
  model: toggleModel,
  second: () => second(!state.second),
  windows: foldWindows,
  significant: () => significantOnly(!state.significant),
  menu: () => { const menu = find("[data-menu]"); if (menu) { menu.togglePopover(); menu.querySelector("input")?.focus() } },
  repair,
  theme: () => theme(),
  help,
  leave: () => { forgetRange(); if (state.asking) asking(false) },
}
for (const name of Object.keys(views)) actions[`view-${name}`] = () => view(name)

// Elements that a forwarded key goes to in the browser as well: a class of the page, or a place in it.
const places = {comment: [".imo-comment"], search: [".imo-search", ".tabulator-header-filter"]}
const bindings = new Map(keyboard.flatMap((key) => key.keys.map((name) => [name, key])))

function focusIn(selectors) {
  for (const selector of selectors) {
    const place = find(selector)
    if (!place) continue
    const fields = "input, textarea"
    const field = place.matches(fields) ? place
      : [...roots(place.shadowRoot ?? place)].map((root) => root.querySelector(fields)).find(Boolean)
    if (field) { field.focus(); field.select?.(); return true }
  }
  return false
}

const TYPED = new Set(["text", "search", "number", "email", "url", "tel", "password", "date", "time", ""])

function typing(event) {
  return event.composedPath().some((node) => {
    if (!(node instanceof Element)) return false
    if (node instanceof HTMLInputElement) return TYPED.has(node.type)
    if (node instanceof HTMLTextAreaElement || node instanceof HTMLSelectElement ||
      (node instanceof HTMLElement && node.isContentEditable)) return true
    return ["combobox", "listbox", "menu", "textbox", "searchbox", "dialog"].includes(node.getAttribute("role") ?? "")
  })
}

// Chromium finds nothing behind the scroller of Tabulator's grid and leaves the page: the plots come next.
function leavesTable(event) {
  const [one] = event.composedPath()
  const next = event.key === "Tab" && !event.shiftKey && one instanceof Element && one.matches(".tabulator-tableholder")
    ? find('button[data-group="view"]') : null
  next?.focus()
  return Boolean(next)
}

export function onKey(event) {
  if (leavesTable(event)) { event.preventDefault(); return }
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return
  const key = bindings.get(event.key)
  if (!key || typing(event) || (event.repeat && !key.repeats)) return
  const dialog = document.querySelector("dialog[open]")
  if (dialog && key.action !== "help") return  // Escape closes it by itself
  if (event.key === "Escape" && find('[popover=""]:popover-open')) return
  run(key.action)
  event.preventDefault()
}

function run(action) {
  const key = keyboard.find((one) => one.action === action)
  if (!key) throw new Error(`no key does '${action}'`)
  if (key.forwarded) {
    if (places[action]) focusIn(places[action])
    forward(action)
  } else {
    actions[action]()
  }
}

export const keys = {
  list: keyboard,
  run,  // so that a button does what its key does
  missing: () => keyboard.filter((key) => !key.forwarded && !actions[key.action]).map((key) => key.action),
}
