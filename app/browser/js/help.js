// The list of keys: a modal dialog of the browser's own, which keeps the focus and gives it back.
import {find} from "./dom.js"
import {forward} from "./forward.js"
import {keyboard} from "./models.js"

const NAMES = {Escape: "Esc"}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

function buildHelp() {
  const groups = new Map()
  for (const key of keyboard) {
    if (!groups.has(key.group)) groups.set(key.group, [])
    const keys = key.keys.flatMap((name, i) => [...(i ? [" or "] : []), element("kbd", {}, NAMES[name] ?? name)])
    groups.get(key.group).push(element("div", {class: "row"}, element("dt", {}, ...keys), element("dd", {}, key.words)))
  }
  const sections = [...groups].map(([title, rows]) =>
    element("section", {}, element("h3", {}, title), element("dl", {}, ...rows)))
  const close = element("button", {type: "button", "aria-label": "Close the list of keys"}, "Close")
  const dialog = element("dialog", {id: "imo-help", "aria-labelledby": "imo-help-title"},
    element("style", {}, HELP_STYLE),
    element("header", {}, element("h2", {id: "imo-help-title"}, "Keyboard"), close),
    element("div", {class: "columns", tabindex: "0", role: "region", "aria-labelledby": "imo-help-title"}, ...sections),
    element("p", {}, "Ignored while you type." + (keyboard.some((key) => key.forwarded)
      ? " Only targets, labels and ranges that you ask about reach the server." : "")))
  close.addEventListener("click", () => dialog.close())
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close() })  // beside it
  return dialog
}

export function help() {
  /** @type {any} */
  let dialog = document.getElementById("imo-help")
  if (dialog?.open) { dialog.close(); return }
  if (!dialog) {
    dialog = buildHelp()
    document.body.append(dialog)
  }
  if (find("[data-hybrid]")?.checkVisibility()) forward("method")  // closes it: one dialog at a time
  dialog.showModal()
}

const HELP_STYLE = `
#imo-help { font: 13px/1.35 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: var(--imo-text, #1b1f24);
  background: var(--imo-surface, #ffffff); border: 1px solid var(--imo-line, #c9ced6); border-radius: 8px;
  padding: 14px 18px; width: min(980px, calc(100vw - 48px)); max-height: calc(100vh - 48px); box-sizing: border-box;
  box-shadow: 0 12px 40px rgba(0, 0, 0, 0.35); overflow: auto; }
#imo-help::backdrop { background: rgba(0, 0, 0, 0.45); }
#imo-help header { display: flex; justify-content: space-between; align-items: center; }
#imo-help h2 { font-size: 17px; margin: 0; }
#imo-help h3 { font-size: 13px; margin: 0 0 4px; color: var(--imo-muted, #5b6470); font-weight: 600; }
#imo-help .columns { columns: 3 260px; column-gap: 28px; margin: 10px 0 6px; }
#imo-help section { break-inside: avoid; margin-bottom: 12px; }
#imo-help dl { margin: 0; }
#imo-help .row { display: flex; gap: 10px; padding: 1px 0; }
#imo-help dt { flex: 0 0 64px; white-space: nowrap; }
#imo-help dd { margin: 0; }
#imo-help kbd { display: inline-block; min-width: 1.1em; text-align: center; padding: 0 4px; border-radius: 4px;
  border: 1px solid var(--imo-line, #c9ced6); font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
#imo-help p { margin: 4px 0 0; color: var(--imo-muted, #5b6470); }
#imo-help button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--imo-line, #c9ced6);
  border-radius: 5px; padding: 3px 12px; cursor: pointer; }
`
