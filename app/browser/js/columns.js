// Where the panels stand: one below the other, or in two columns while other methods are beside inverse occlusion.
import {viewOf} from "./bokeh.js"
import {methodBoxes, methodList, panelBox, panels, shares} from "./models.js"
import {large, letters, state} from "./page.js"

const SIDES = {left: ["spectrum", "residual"], method: 2.2}  // share of the height of a method's panel
export const methodPanels = []  // made by Python when they are first wanted

export const slotOf = (name) => Number(name.slice("method".length))
export const panelNamed = (name) => panels[name] ?? methodPanels[slotOf(name)]

export const comparing = () => Boolean(methodList.data.shown[0]) && methodPanels.length > 0
export const methodRows = () => methodList.data.name.slice(1)
export const allPanels = () => [...Object.values(panels), ...methodPanels]

// Pixels of the wavelength axes with their words above the first and below the last panel; large ones have no room above.
export const roomAbove = () => large() ? 0 : 12 + 2 * letters()
export const roomBelow = () => 12 + 2 * letters()
export const shareOf = (name) => !large() ? shares[name] : name === "spectrum" ? SPECTRUM : 1
export const SPECTRUM = 1.3  // times as high as the others in large type

// Columns of panels from top to bottom, each {key, panel, share}.
export function columns() {
  const own = Object.keys(panels).filter((name) => state.panels[name])
    .map((name) => ({key: name, panel: panels[name], share: shareOf(name)}))
  if (!comparing()) return [own]
  const others = methodRows().slice(0, methodBoxes.length)
    .map((_, slot) => ({key: "method" + slot, panel: methodPanels[slot], share: SIDES.method}))
  const left = [...own.filter(({key}) => SIDES.left.includes(key)), ...others]
  const right = own.filter(({key}) => !SIDES.left.includes(key))
  return [left, right].filter((column) => column.length)
}

// Rows of a grid in which every panel of every column begins and ends at a row's edge.
function tracks(placed, height) {
  const axes = [roomAbove(), roomBelow()], whole = Math.max(200 + axes[0] + axes[1], height)
  const free = whole - axes[0] - axes[1]
  const cuts = new Set([0, whole])
  const places = placed.map((column) => {
    const shared = column.reduce((sum, {share}) => sum + share, 0)
    let at = 0
    return column.map(({key, share}, i) => {
      const from = at
      at += share / shared * free + (i === 0 ? axes[0] : 0)
      if (i === column.length - 1) at = whole
      at = Math.round(at)
      cuts.add(at)
      return {key, from, to: at}
    })
  })
  const edges = [...cuts].map(Math.round).sort((a, b) => a - b)
  return {places, edges: edges.filter((edge, i) => i === 0 || edge !== edges[i - 1])}
}

export let side = false  // whether the panels stand side by side
export const boxHeight = () => viewOf(panelBox)?.el.clientHeight || 640

export function placeBeside(placed) {
  const {places, edges} = tracks(placed, boxHeight())
  const at = new Map(places.flatMap((column, col) => column.map(({key, from, to}) => {
    const row = edges.indexOf(from)
    return [key, [row, col, edges.indexOf(to) - row, 1]]
  })))
  const children = [
    ...Object.keys(panels).map((name) => [panels[name], ...(at.get(name) ?? [0, 0, 1, 1])]),
    ...methodBoxes.map((box, slot) => [box, ...(at.get("method" + slot) ?? [0, 0, 1, 1])]),
  ]
  // the map's colour bar is beside the right column only
  for (const {panel} of placed.length > 1 ? placed[0] : []) panel.min_border_right = 12
  const rows = edges.slice(1).map((edge, i) => ({size: `${edge - edges[i]}fr`}))
  panelBox.setv({children, rows, cols: placed.map(() => ({size: "1fr"}))})
  side = true
}

export function placeBelow(rows) {
  if (side) {
    const names = Object.keys(panels)
    const children = [
      ...names.map((name, row) => [panels[name], row, 0, 1, 1]),
      ...methodBoxes.map((box, slot) => [box, names.length + slot, 0, 1, 1]),
    ]
    panelBox.setv({children, cols: [{size: "1fr"}]})
    for (const panel of allPanels()) panel.min_border_right = panels.combined.min_border_right
    side = false
  }
  panelBox.rows = [...rows, ...methodBoxes.map(() => ({size: "0px"}))]
}
