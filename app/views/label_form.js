// The form of labels. What is said goes up with the target that it is said of; what is known comes down.
function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}
let form = null, written = "", timer = null
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
  const comment = field("comment"), select = field("class")
  const other = form.dataset.target !== entry("target")
  if (other && timer !== null) sendComment()  // of the target before
  form.dataset.target = entry("target")
  form.dataset.shown = known.data.count[0]
  form.toggleAttribute("inert", !entry("target"))
  const classes = entry("classes")
  if (select.dataset.classes !== classes) {
    select.dataset.classes = classes
    select.replaceChildren(...["", ...JSON.parse(classes)].map((name) => new Option(name || "no class", name)))
  }
  select.value = entry("class")
  for (const button of form.querySelectorAll("button[aria-pressed]")) {
    button.setAttribute("aria-pressed", String(entry("pressed").split(" ").includes(button.dataset.label)))
  }
  const root = form.getRootNode()
  if (other || (root.activeElement !== comment && timer === null)) comment.value = written = entry("comment")
  form.querySelector(".meaning").textContent = entry("meaning")
  for (const button of form.querySelectorAll("[data-for]")) button.hidden = button.dataset.for !== entry("kind")
  if (timer === null) show(entry("kind"), entry("text"))
}

function onKey(event) {  // Escape leaves a field, so that the next key counts again
  const at = event.composedPath()[0]
  if (event.key !== "Escape" || !at.matches?.("textarea, input") || document.querySelector("[role=dialog]")) return
  at.blur()
  event.stopPropagation()
}

window.imoForm?.stop()
window.addEventListener("keydown", onKey, true)
const watch = setInterval(() => { if (!form?.isConnected) update() }, 300)  // Panel may draw the form anew
window.imoForm = {update, stop() { clearInterval(watch); window.removeEventListener("keydown", onKey, true) }}
update()
