// What small buttons do by themselves.
import {find, findAll} from "./dom.js"

// The text is in an attribute and never code; the button says what it did until it is left.
export function copy(button) {
  navigator.clipboard?.writeText(button.dataset.copy)
  const words = button.textContent
  button.textContent = "copied"
  if (words !== "copied") button.addEventListener("blur", () => { button.textContent = words }, {once: true})
}

// A menu opens under its button, which stands before it, and within the window.
export function placeMenu(menu) {
  const at = menu.previousElementSibling.getBoundingClientRect()
  menu.style.top = `${at.bottom + 4}px`
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - menu.offsetWidth - 8))}px`
}

// Which of the header's switches are on, which keys and the address change as well; and what it is busy with.
export function switched([on], [busy]) {
  const add = find('button[data-word="Add spectrum"]')
  if (add) {
    add.textContent = busy || "Add spectrum"
    add.setAttribute("aria-busy", String(busy !== ""))
  }
  for (const one of findAll("[data-switch]")) {
    const isOn = on.includes(one.dataset.switch)
    if (one instanceof HTMLInputElement) one.checked = isOn
    else one.setAttribute("aria-pressed", String(isOn))
  }
}
