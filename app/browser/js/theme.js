// Light or dark: the page's colours follow a class of the document; plots and dialogs follow what Python is told.
import {imo} from "./imo.js"

export function theme(dark = !document.documentElement.classList.contains("mui-dark")) {
  document.documentElement.classList.toggle("mui-dark", dark)
  document.documentElement.classList.toggle("mui-light", !dark)
  imo.tell?.("theme", dark)
}
