// Light or dark: the page's colours follow a class of the document; plots and dialogs follow what Python is told.
import {imo} from "./imo.js"

/** @param {boolean} dark @param {boolean} chosen by the user, not by the system */
export function theme(dark = !document.documentElement.classList.contains("mui-dark"), chosen = true) {
  document.documentElement.classList.toggle("mui-dark", dark)
  document.documentElement.classList.toggle("mui-light", !dark)
  imo.tell?.("theme", {dark, chosen})
}
