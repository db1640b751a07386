// Bokeh's own functions in whose place the page puts another, by where they are, their name and how many arguments they
// take. A release in which one of them is not as expected keeps its own: `imo.patches` says which, and why.
import {imo} from "./imo.js"

/** @type {Record<string, true | string>} */
const patches = (imo.patches ??= {})

/** @typedef {(...given: any[]) => any} Method */
/** @typedef {(own: Method) => (this: any, ...given: any[]) => any} Make */

function partOf(name) {
  try { return Bokeh.require(name) } catch { return {} }
}

/**
 * Puts others in the place of some of one kind's methods and getters, once: all, or none if one is not as expected.
 * @param {string} part
 * @param {string} kind
 * @param {Record<string, [number, Make]>} methods by name: how many arguments it takes, and what makes the other of it
 * @param {Record<string, () => any>} getters by name
 */
export function insteadOf(part, kind, methods, getters = {}) {
  const prototype = partOf(part)[kind]?.prototype
  const wrong = [
    ...Object.entries(methods).map(([name, [takes]]) => {
      const own = prototype?.[name]
      if (typeof own !== "function") return `${part} has no ${kind}.${name}`
      return own.imo || own.length === takes ? "" : `${kind}.${name} takes ${own.length} arguments, not ${takes}`
    }),
    ...Object.keys(getters).map((name) => prototype && name in prototype ? "" : `${part} has no ${kind}.${name}`),
  ].find(Boolean)
  for (const name of [...Object.keys(methods), ...Object.keys(getters)]) patches[`${kind}.${name}`] = wrong ?? true
  if (wrong) return
  for (const [name, [, make]] of Object.entries(methods)) {
    if (!prototype[name].imo) prototype[name] = Object.assign(make(prototype[name]), {imo: true})
  }
  for (const [name, get] of Object.entries(getters)) Object.defineProperty(prototype, name, {configurable: true, get})
}

/**
 * @param {string} part
 * @param {string} kind
 * @param {string} name
 * @param {number} takes
 * @param {Make} make
 */
export const instead = (part, kind, name, takes, make) => insteadOf(part, kind, {[name]: [takes, make]})

// Python writes them to its log.
export const tellPatches = () => imo.tell?.("patches", patches)
