// The form of labels. What is said goes up with the target that it is said of; what is known comes down.
function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}
const CLASS_KEYS = [..."123456789abcdefghijklmnopqrstuvwxyz"]  // 0: no class
const PAUSE = 700  // ms without a key after which somebody who was writing has seen that the target changed
let form = null, written = "", timer = null
let awaited = 0  // number of the key that asked for another target
let pause = null, waiting = null
const entry = (name) => known.data[name][0]
const field = (name) => form.querySelector(`[name="${name}"]`)

function send(action, text = "") {
  said.data = {action: [action], target: [form.dataset.target], text: [text], count: [(said.data.count[0] ?? 0) + 1]}
}

function sendComment() {
  if (timer !== null) clearTimeout(timer)
  timer = null
  const comment = field("comment")
  if (comment.value === written) return
  written = comment.value
  send("comment", written)
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
  state.toggleAttribute("data-unsaved", ["typing", "saving", "failed", "conflict", "refused"].includes(kind))
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

function rest() {
  clearTimeout(pause)
  pause = setTimeout(() => { pause = null; lock(); tell() }, PAUSE)
}

// How the label stands, or that another target is on its way and has been for a moment.
function tell() {
  if (awaited > entry("answered") && waiting === null) show("waiting", "waiting for the next target …")
  else show(entry("kind"), entry("text"))
}

// A class is chosen with two keys: the one that opens the list, and the one before its name.
const choices = () => form?.querySelector(".choices")
const choosing = () => choices()?.matches(":popover-open") ?? false

function choose() {
  if (!form || form.inert) return
  const list = choices()
  if (choosing()) { list.hidePopover(); return }
  const rows = ["", ...JSON.parse(entry("classes"))].map((name, i) => {
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
  send("class", name)
}

function onChoice(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || ["Shift", "Tab"].includes(event.key)) return
  const names = JSON.parse(entry("classes")), at = CLASS_KEYS.indexOf(event.key)
  if (event.key === "0") pick("")
  else if (at >= 0 && at < names.length) pick(names[at])
  else if (event.key === "Escape" || event.key === "C") choices().hidePopover()
  event.preventDefault()
  event.stopImmediatePropagation()  // these keys mean other things elsewhere
}

function update() {
  if (!form?.isConnected) {
    for (const root of roots(document)) if ((form = root.querySelector(".imo-form"))) break
    if (!form) return
    form.addEventListener("click", (event) => {
      const action = event.target.closest("button")?.dataset.label
      if (action) send(action)
    })
    field("class").addEventListener("change", (event) => { send("class", event.target.value); event.target.blur() })
    field("comment").addEventListener("input", typing)
    field("comment").addEventListener("blur", sendComment)
  }
  const comment = field("comment"), select = field("class"), root = form.getRootNode()
  const other = form.dataset.target !== entry("target")
  if (other && timer !== null) {  // somebody is writing
    const before = form.dataset.target
    sendComment()  // of the target before
    if (root.activeElement === comment) {
      rest()
      show("switched", `The target changed. What you wrote is with ${before}.`)
    }
  }
  if (other && choosing()) choices().hidePopover()
  form.dataset.target = entry("target")
  form.dataset.shown = known.data.count[0]
  form.toggleAttribute("inert", !entry("target"))
  const classes = entry("classes")
  if (select.dataset.classes !== classes) {
    select.dataset.classes = classes
    select.replaceChildren(...["", ...JSON.parse(classes)].map((name, i) => {
      const key = i === 0 ? "0" : CLASS_KEYS[i - 1]
      return new Option(key ? `${key} · ${name || "no class"}` : name, name)
    }))
  }
  select.value = entry("class")
  for (const button of form.querySelectorAll("button[aria-pressed]")) {
    button.setAttribute("aria-pressed", String(entry("pressed").split(" ").includes(button.dataset.label)))
  }
  if (other || (root.activeElement !== comment && timer === null)) comment.value = written = entry("comment")
  lock()
  form.querySelector(".meaning").textContent = entry("meaning")
  for (const button of form.querySelectorAll("[data-for]")) button.hidden = button.dataset.for !== entry("kind")
  if (timer === null && pause === null) tell()
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

window.imoForm?.stop()
window.addEventListener("keydown", onKey, true)
window.addEventListener("pointerdown", onPointer, true)
const watch = setInterval(() => { if (!form?.isConnected) update() }, 300)  // Panel may draw the form anew
window.imoForm = {
  update, leaving, choose,
  stop() {
    clearInterval(watch)
    window.removeEventListener("keydown", onKey, true)
    window.removeEventListener("pointerdown", onPointer, true)
  },
}
update()
