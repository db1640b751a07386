// How the page looks is remembered in a cookie, so that the server draws it so at once: it never begins in other colours.
import {imo} from "./imo.js"
import {look, names, owner} from "./look_models.js"

const YEAR = 31536000  // s
const write = (name, value) => { document.cookie = `${name}=${value}; path=/; max-age=${YEAR}; samesite=strict` }
const system = matchMedia("(prefers-color-scheme: dark)")
const words = () => look.data.word[0].split(".")

// As long as nobody chose, the colours are the system's.
function follow() {
  if (!words().includes("chosen") && system.matches !== words().includes("dark")) {
    imo.explorer?.theme(system.matches, false)
  }
}

imo.look?.stop()
system.addEventListener("change", follow)
imo.look = {
  changed() {
    write(names.look, look.data.word[0])
    const query = new URLSearchParams(location.search)
    if (!query.has("theme")) return
    query.delete("theme")  // it was asked for when the page was opened; now the user has chosen
    history.replaceState(history.state, "", "?" + query)
  },
  stop() { system.removeEventListener("change", follow) },
}
write(names.owner, owner)
follow()
