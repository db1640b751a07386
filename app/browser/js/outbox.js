// What was said of labels and is not known to be saved. It stays in this tab, through reloads too, and is said again,
// as the same changes, until the server has answered that they are in the database.
import {known, owner, user} from "./form_models.js"
import {imo} from "./imo.js"

const KEPT = "imo-unsaved:"
const mine = KEPT + owner
export const entry = (name) => known.data[name][0]
export const server = () => imo.connection
export let shown = {target: "", base: 0}  // label in sight: what is said is said of this one
export let unsaved = stored(mine)
export let sent = 0  // number of the last message that went to the server

export function see(target, base) { shown = {target, base} }

// Where the browser does not allow it, or has no room, what is said is kept as long as the page.
export function inTab(work) {
  try { return work(sessionStorage) } catch { return null }
}

function stored(name) { return inTab((tab) => JSON.parse(tab.getItem(name))) ?? [] }

function store() {
  inTab((tab) => unsaved.length ? tab.setItem(mine, JSON.stringify(unsaved)) : tab.removeItem(mine))
}

// Said as somebody else in this tab, or of another database.
const strange = () => (inTab(Object.keys) ?? []).filter((name) => name.startsWith(KEPT) && name !== mine)
export const others = () => strange().flatMap(stored)
export const forget = () => strange().forEach((name) => inTab((tab) => tab.removeItem(name)))

function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))  // randomUUID is for secure pages only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

// Undo takes back what was said in this tab, before the page was loaded again too, and nothing else.
const TAB = "imo-tab"
const tab = inTab((storage) => storage.getItem(TAB)) ?? newName()
inTab((storage) => storage.setItem(TAB, tab))

export function send(action, target = "", text = "") {
  server()?.asks()
  sent = imo.tell?.("label", {action, target, text}) ?? sent
  return sent
}

export function note(kind, fields = {}, settles = false) {
  const {target, base} = shown
  if (!target) return
  const one = {id: `${tab}.${newName()}`, kind, target, fields, base, settles, user}
  const settled = settles || kind === "theirs"
  unsaved = unsaved.filter((before) => !settled || before.kind !== "save" || before.target !== target)
  unsaved.push(one)
  store()
  if (!server()?.gone()) send("say", target, JSON.stringify([one]))
}

export function sayAgain() {
  if (unsaved.length) send("say", "", JSON.stringify(unsaved))
}

// What is saved, or refused in words, need not be said again; what was said after it is of the version that it made.
export function hearAnswers() {
  const before = unsaved.length
  for (const [id, versions] of JSON.parse(entry("answers"))) {
    if (!unsaved.some((one) => one.id === id)) continue
    unsaved = unsaved.filter((one) => one.id !== id)
    for (const one of unsaved) one.base = Math.max(one.base, versions[one.target] ?? 0)
  }
  if (unsaved.length !== before) store()
}

// What waits for the server, and not for somebody to decide.
export function underway() {
  const undecided = JSON.parse(entry("undecided"))
  return unsaved.filter((one) => !undecided.includes(one.id))
}

export const counted = (some) => some.length === 1 ? "1 change" : `${some.length} changes`

// A label with what was said of it since.
export function withUnsaved(target, label) {
  const done = [], undone = []
  for (const one of unsaved) {
    if (one.kind === "undo") undone.push(done.pop())
    else if (one.kind === "redo") done.push(undone.pop())
    else done.push(one)
  }
  return Object.assign({}, label, ...done.filter((one) => one?.target === target).map((one) => one.fields))
}
