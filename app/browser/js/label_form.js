// The form of labels. What is said goes up with the target that it is said of; what is known comes down.
import {roots} from "./dom.js"
import {known} from "./form_models.js"
import {imo} from "./imo.js"
import {
  counted, entry, forget, hearAnswers, inTab, others, note, sayAgain, see, send, sent, server, shown, underway, unsaved,
  withUnsaved,
} from "./outbox.js"

const CLASS_KEYS = [..."123456789abcdefghijklmnopqrstuvwxyz"]  // 0: no class
const WRITING = "imo-writing"  // where the page was loaded again under the hands of somebody
const PAUSE = 700  // ms without a key after which somebody who was writing has seen that the target changed
let form = null, written = "", timer = null
let forwarded = 0  // number of the last key that went to the server
let awaited = 0  // number of the key that asked for another target
let pause = null, waiting = null
const commenting = () => form !== null && form.getRootNode().activeElement === field("comment")
const field = (name) => form.querySelector(`[name="${name}"]`)

const label = () => withUnsaved(shown.target, JSON.parse(entry("label")))

function change(fields, settles = false) {
  note("save", fields, settles)
  draw()
}

// Changes are said as what they come to, and not as a key, so that they can be said twice.
function act(action) {
  const {star, issues} = label(), [name, value] = action.split("-")
  if (name === "quality") change({quality: Number(value)})
  else if (name === "issue") change({issues: issues.includes(value) ? issues.replace(value, "") : issues + value})
  else if (action === "star") change({star: !star})
  else if (action === "mine") change(label(), true)
  else if (action === "theirs") { note("theirs"); draw() }
  else if (["undo-label", "redo-label"].includes(action)) { note(name); draw() }
  else if (server()?.gone()) refuse(action)
  else send(action)
}

const LOCAL = ["comment"], ABOUT_LABELS = /^(quality-\d|issue-\w|star|undo-label|redo-label)$/

function takes(action) {
  if (ABOUT_LABELS.test(action)) act(action)
  else if (!server()?.gone() || LOCAL.includes(action)) return false
  else refuse(action)
  return true
}

function refuse(action) {
  const words = imo.explorer?.keys.list.find((key) => key.action === action)?.words
  server().refuses(words ? `“${words}”` : "That")
}

function sendComment() {
  if (timer !== null) clearTimeout(timer)
  timer = null
  const comment = field("comment")
  if (comment.value === written) return
  written = comment.value
  change({comment: written})
}

function typing() {
  if (timer !== null) clearTimeout(timer)
  timer = setTimeout(sendComment, 1500)
  show("typing", "being written …")
}

function show(kind, text) {
  const state = form.querySelector(".state")
  state.className = "state " + kind
  state.dataset.saved = kind
  state.toggleAttribute("data-unsaved", ["typing", "saving", "unsaved", "failed", "conflict", "refused"].includes(kind))
  if (state.textContent !== text) state.textContent = text
}

// Nothing can be written while another target is on its way, nor into the sentence that was meant for the last one.
function lock() {
  if (form) field("comment").readOnly = awaited > entry("answered") || pause !== null
}

function leaving(number) {
  if (!form) return
  if (timer !== null) sendComment()
  awaited = number
  lock()
  clearTimeout(waiting)
  waiting = setTimeout(() => { waiting = null; if (awaited > entry("answered")) tell() }, 250)
}

function onForwarded(number, leaves) {
  forwarded = number
  server()?.asks()
  if (leaves) leaving(number)
}

function rest() {
  clearTimeout(pause)
  pause = setTimeout(() => { pause = null; lock(); tell() }, PAUSE)
}

// How the label stands, or that another target is on its way and has been for a moment.
function tell() {
  if (unsaved.length && server()?.gone()) show("unsaved", `not saved yet: ${counted(unsaved)}`)
  else if (awaited > entry("answered") && waiting === null) show("waiting", "waiting for the next target …")
  else if (underway().length && !told()) show("saving", "saving …")
  else show(entry("kind"), entry("text"))
}

const told = () => ["failed", "conflict", "refused"].includes(entry("kind"))

// A class is chosen with two keys: the one that opens the list, and the one before its name.
const choices = () => form?.querySelector(".choices")
const choosing = () => choices()?.matches(":popover-open") ?? false

function classNames() {
  const names = JSON.parse(entry("classes")), used = label().label_class
  return !used || names.includes(used) ? names : [...names, used]  // it may have been taken off the list
}

function choose() {
  if (!form || form.inert) return
  const list = choices()
  if (choosing()) { list.hidePopover(); return }
  const rows = ["", ...classNames()].map((name, i) => {
    const key = document.createElement("kbd"), row = document.createElement("button")
    key.textContent = i === 0 ? "0" : CLASS_KEYS[i - 1] ?? " "
    row.type = "button"
    row.tabIndex = -1
    row.append(key, name || "no class")
    row.addEventListener("click", () => pick(name))
    return row
  })
  const words = document.createElement("p")
  words.textContent = "Press a key; Esc closes"
  list.replaceChildren(...rows, words)
  list.showPopover()
  const at = field("class").getBoundingClientRect()
  list.style.left = `${Math.max(8, Math.min(at.left, innerWidth - list.offsetWidth - 8))}px`
  list.style.top = `${Math.max(8, Math.min(at.top, innerHeight - list.offsetHeight - 8))}px`
}

function pick(name) {
  choices().hidePopover()
  change({label_class: name})
}

function onChoice(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || ["Shift", "Tab"].includes(event.key)) return
  const names = classNames(), at = CLASS_KEYS.indexOf(event.key)
  if (event.key === "0") pick("")
  else if (at >= 0 && at < names.length) pick(names[at])
  else if (event.key === "Escape" || event.key === "C") choices().hidePopover()
  event.preventDefault()
  event.stopImmediatePropagation()  // these keys mean other things elsewhere
}

function begin() {
  for (const root of roots(document)) if ((form = root.querySelector(".imo-form"))) break
  if (!form) return
  form.addEventListener("click", (event) => {
    const action = event.target.closest("button")?.dataset.label
    if (action) act(action)
  })
  field("class").addEventListener("change", ({target}) => { change({label_class: target.value}); target.blur() })
  field("comment").addEventListener("input", typing)
  field("comment").addEventListener("blur", sendComment)
}

function update() {
  if (!form?.isConnected) begin()
  hearAnswers()
  server()?.answered(entry("heard") >= sent && entry("answered") >= forwarded)
  const other = shown.target !== entry("target")
  if (other && timer !== null) {  // somebody is writing
    const before = shown.target
    sendComment()  // of the target before
    if (commenting()) {
      rest()
      show("switched", `The target changed. What you wrote is with ${before}.`)
    }
  }
  if (other && choosing()) choices().hidePopover()
  see(entry("target"), entry("base"))
  if (!form) return
  form.dataset.target = shown.target
  form.dataset.shown = known.data.count[0]
  form.toggleAttribute("inert", !shown.target)
  if (other) field("comment").value = written = label().comment
  draw()
  if (shown.target && inTab((tab) => tab.getItem(WRITING)) === shown.target) field("comment").focus()
  if (shown.target) inTab((tab) => tab.removeItem(WRITING))
}

function draw() {
  server()?.draw()
  if (!form) return
  const {label_class: used, quality, issues, redshift, star, comment: text} = label()
  const select = field("class")
  const names = classNames(), classes = JSON.stringify(names)
  if (select.dataset.classes !== classes) {
    select.dataset.classes = classes
    select.replaceChildren(...["", ...names].map((name, i) => {
      const key = i === 0 ? "0" : CLASS_KEYS[i - 1]
      return new Option(key ? `${key} · ${name || "no class"}` : name, name)
    }))
  }
  select.value = used
  const pressed = [`quality-${quality}`, ...[...issues].map((one) => `issue-${one}`), ...(star ? ["star"] : [])]
  const meaning = quality === null ? ["no quality yet"] : []
  for (const button of form.querySelectorAll("button[aria-pressed]")) {
    const {label: action} = button.dataset, on = pressed.includes(action)
    button.setAttribute("aria-pressed", String(on))
    if (on && action.startsWith("quality")) meaning.push(`Q${quality}: ${button.title}`)
    if (on && action.startsWith("issue")) meaning.push(`${button.textContent}: ${button.title.split(":")[0]}`)
  }
  if (redshift !== null) meaning.push(`VI_z = ${redshift.toFixed(5)}`)
  form.querySelector(".meaning").textContent = meaning.join("\n")
  if (!commenting() && timer === null) field("comment").value = written = text
  lock()
  for (const button of form.querySelectorAll("[data-for]")) button.hidden = button.dataset.for !== entry("kind")
  if (timer === null && pause === null) tell()
}

// Whether the page may be loaded again: not while somebody writes, who then goes on where the words are.
function ready() {
  if (timer !== null) return false
  if (commenting()) inTab((tab) => tab.setItem(WRITING, shown.target))
  return true
}

// After a gap in the connection: a key that was lost with it leads nowhere any more.
function resume() {
  if (awaited > entry("answered")) awaited = 0
  forwarded = Math.min(forwarded, entry("answered"))
  sayAgain()
  draw()
}

function onKey(event) {  // Escape leaves a field, so that the next key counts again
  if (choosing()) { onChoice(event); return }
  const at = event.composedPath()[0]
  if (form && at === field("comment") && at.readOnly && event.key !== "Escape") rest()  // does not look yet
  if (event.key !== "Escape" || !at.matches?.("textarea, input") || document.querySelector("[role=dialog]")) return
  at.blur()
  event.stopPropagation()
}

function onPointer(event) {
  if (choosing() && !event.composedPath().includes(choices())) choices().hidePopover()
}

imo.form?.stop()
window.addEventListener("keydown", onKey, true)
window.addEventListener("pointerdown", onPointer, true)
const watch = setInterval(() => { if (!form?.isConnected) update() }, 300)  // Panel may draw the form anew
imo.form = {
  update, forwarded: onForwarded, takes, change, choose, draw, others, forget, ready, resume, told,
  unsaved: () => unsaved, underway, counted,
  hello: (target) => send("hello", target),
  heard: () => entry("heard"),
  stop() {
    clearInterval(watch)
    window.removeEventListener("keydown", onKey, true)
    window.removeEventListener("pointerdown", onPointer, true)
  },
}
update()
