// Whether the server can be reached, and a bar that says so. What needs the server is not sent while it cannot.
import {alive, height, page, target} from "./connection_models.js"
import {imo} from "./imo.js"
import {insteadOf, tellPatches} from "./patches.js"

const ANSWER = 5000  // ms in which a server that is there answers
const AGAIN = 1500  // ms between attempts
let gone = false, saving = false, words = ""  // saving: what was said meanwhile
let connection = null, tried = 0, looking = false, leaving = false
let asked = null  // when the oldest question without an answer was asked
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))
const form = () => imo.form

// The page keeps its models when it connects again. Bokeh (3.9) asks for all of them once more, cannot read the answer,
// and takes the connection for failed; what this page missed comes with the answer to its "hello". What is sent before
// the server has greeted would make it close the connection, and half a message that was cut off spoil the next one.
insteadOf("client/connection", "ClientConnection", {
  connect: [0, (connect) => function () {
    this._receiver = new this._receiver.constructor()
    this.imoGreeted = false
    imo.connection?.tries(this)
    return connect.call(this)
  }],
  _repull_session_doc: [2, (pull) => function (resolve, reject) {
    this.imoGreeted = true
    return this.session === null ? pull.call(this, resolve, reject) : Promise.resolve(resolve(this.session))
  }],
  send: [1, (send) => function (message) {
    imo.connection?.owns(this)
    if (this.session === null || reaches(this)) send.call(this, message)
  }],
  _schedule_reconnect: [1, (schedule) => function (milliseconds) {
    schedule.call(this, milliseconds)
    imo.connection?.lost(this)
  }],
})

const reaches = (connection) => connection.socket?.readyState === WebSocket.OPEN && connection.imoGreeted !== false

/** @param {string} text @param {string} label @param {(() => void) | null} act */
function bar(text, label = "", act = null) {
  let place = document.getElementById("imo-connection")
  if (!text) { place?.remove(); return }
  if (!place) {
    place = document.createElement("div")
    place.id = "imo-connection"
    place.setAttribute("role", "alert")
    place.style.cssText = `position:fixed;top:0;left:0;right:64px;height:${height}px;box-sizing:border-box;` +
      "z-index:2000;background:#7a2b00;color:#fff;padding:0 24px;overflow:hidden;" +
      "font:14px/1.3 system-ui,sans-serif;display:flex;gap:16px;align-items:center"
    document.body.append(place)
  }
  if (place.dataset.text === text) return
  place.dataset.text = text
  place.replaceChildren(text)
  if (!act) return
  const button = document.createElement("button")
  button.textContent = label
  button.onclick = act
  place.append(button)
}

function draw() {
  if (!form()) return
  const unsaved = form().unsaved(), underway = form().underway(), others = form().others()
  saving &&= underway.length > 0 && !form().told()
  if (gone) {
    const what = unsaved.length ? `Not saved yet: ${form().counted(unsaved)}, kept here`
      : "Labels can still be given: they are kept here"
    bar(`The server does not answer. ${what} and saved when it is back. ${words}`)
  } else if (saving) bar(`The server answers again: ${form().counted(underway)} being saved …`)
  else if (others.length) bar(`Not saved: ${others.length} of what was said here of other labels, by `
    + `${[...new Set(others.map((one) => one.user))].join(", ")}. Open those here and they are saved.`,
    "Forget them", () => { form().forget(); draw() })
  else bar("")
}

function lose() {
  gone = true
  form()?.draw()
  draw()
  look()
}

// Where the server was started again, or has given this session up, it does not know the page, which is loaded again.
async function look() {
  if (looking) return
  looking = true
  while (gone) {
    const known = await fetch(`${alive}?page=${page}`, {cache: "no-store", signal: AbortSignal.timeout(ANSWER)})
      .then((answer) => answer.ok ? answer.text() : "").catch(() => "")  // nobody there yet
    if (known === "no" && form()?.ready() !== false) { leaving = true; location.reload(); return }
    if (known === "yes") await connect()
    if (gone) await pause(AGAIN)
  }
  looking = false
}

// Waits step by step: where the page itself was busy, what came meanwhile is looked at first.
async function comes(met, longest) {
  for (let waited = 0; waited < longest && !met(); waited += 50) await pause(50)
  return met()
}

async function connect() {
  if (connection !== null && !reaches(connection)) {
    if (connection.socket === null) connection.reconnect()
    else if (performance.now() - tried > ANSWER) drop()
    if (!await comes(() => reaches(connection), AGAIN)) return
  }
  const number = form().hello(target.data.id[0])
  if (!await comes(() => form().heard() >= number, ANSWER)) {
    if (connection !== null && reaches(connection)) drop()
    return
  }
  gone = false
  saving = true
  words = ""
  asked = null
  form().resume()
  draw()
}

// A socket that is silent is given up; closing it in order would wait for an answer, too.
function drop() {
  const {socket} = connection
  for (const event of ["onopen", "onmessage", "onclose", "onerror"]) socket[event] = null
  socket.close()
  connection._on_close({code: 1006, reason: "no answer"}, () => {})
}

imo.connection?.stop()
const onOffline = () => { if (!gone) lose() }
const onLeave = (event) => { if (!leaving && (form()?.unsaved().length || !form()?.ready())) event.preventDefault() }
window.addEventListener("offline", onOffline)
window.addEventListener("beforeunload", onLeave)
const watch = setInterval(() => { if (!gone && asked !== null && performance.now() - asked > ANSWER) lose() }, 500)

imo.connection = {
  draw,
  gone: () => gone,
  owns(one) { connection = one },
  tries(one) { connection = one; tried = performance.now() },
  lost(one) { connection = one; lose() },
  asks() { asked ??= performance.now() },
  answered(all) { asked = all ? null : performance.now() },
  refuses(what) { words = `${what} has to wait for it.`; draw() },
  stop() {
    clearInterval(watch)
    window.removeEventListener("offline", onOffline)
    window.removeEventListener("beforeunload", onLeave)
  },
}
saving = form()?.unsaved().length > 0  // before the page was loaded again
form()?.resume()
draw()
tellPatches()
