// Elements of the page, wherever they are in it.
export function* roots(node) {  // Panel keeps each component in a shadow root
  yield node
  for (const element of node.querySelectorAll("*")) if (element.shadowRoot) yield* roots(element.shadowRoot)
}

const kept = new Map()  // what a selector found: to look for it takes milliseconds

export function findAll(selector) {
  const before = kept.get(selector) ?? []
  if (before.length && before.every((element) => element.isConnected && element.matches(selector))) return before
  const found = [...roots(document)].flatMap((root) => [...root.querySelectorAll(selector)])
  kept.set(selector, found)
  return found
}

export const find = (selector) => findAll(selector)[0] ?? null

export function press(group, value) {
  for (const button of findAll(`button[data-group="${group}"]`)) {
    button.setAttribute("aria-pressed", String(button.dataset.value === value))
  }
}

export function check(group, value, on) {
  for (const box of findAll(`input[data-group="${group}"][data-value="${value}"]`)) box.checked = on
}

export function write(selector, text) {
  const place = find(selector)
  if (place && place.textContent !== text) place.textContent = text
}

// The read-out follows the mouse; only what answers an action is announced to screen readers.
export function read(text, idle = false) {
  write("[data-readout]", text)
  find("[data-readout]")?.toggleAttribute("data-said", !idle)
}
export function say(text) { read(text); write("[data-announce]", text) }
