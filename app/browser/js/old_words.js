// Words beside the plots belong to the target before until Python has said them anew: until then they are not shown.
import {findAll} from "./dom.js"

/** @param {string} id of the target whose spectrum has come */
export function hideOldWords(id) {
  for (const host of findAll(".imo-of-target")) {  // these stay, what is in them is replaced
    const words = host.shadowRoot?.querySelector("[data-of]")
    if (!words || words.dataset.of === id || words.hasAttribute("aria-busy")) continue
    words.setAttribute("aria-busy", "true")
    words.style.visibility = "hidden"
    if (words.hasAttribute("data-status")) continue  // it stands beside the name
    const note = document.createElement("span"), name = words.querySelector(".id")
    note.textContent = "loading …"
    note.style.cssText = "visibility:visible;color:var(--imo-muted);font-size:calc(12px * var(--imo-type, 1));"
      + (name ? "" : "position:absolute;padding:6px 10px")  // nothing is moved
    if (name) {
      name.textContent = id
      name.style.visibility = "visible"
      name.after(note)
    } else words.prepend(note)
  }
}
