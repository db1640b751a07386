// Other methods beside inverse occlusion: two columns on one wavelength axis, as in the paper's figure 2.
const SIDES = {left: ["spectrum", "residual"], method: 2.2}  // share of the height of a method's panel
let methodPanels = [], methodTitles = [], methodNotes = []  // made by Python when they are first wanted

function adoptMethods() {
  if (methodPanels.length || !methodList.tags.length) return
  methodPanels = [...methodList.tags]
  const one = (models, type) => models.find((model) => model.type === type)
  methodTitles = methodPanels.map((panel) => one(panel.center, "Legend").items[0])
  methodNotes = methodPanels.map((panel) => one(panel.center, "Label"))
  methodPanels.forEach((panel, slot) => {
    for (const renderer of panel.renderers) {
      if (!(renderer.name in layerModels)) continue
      layerModels[renderer.name].push(renderer)
      renderer.visible = state.layers[renderer.name]
    }
    for (const grid of panel.center.filter((model) => model.type === "Grid" && model.tags[0] in gridModels)) {
      gridModels[grid.tags[0]].push(grid)
      grid.visible = grid.tags[0] === state.frame
    }
    const frames = (axes) => Object.fromEntries(axes.filter((axis) => axis.type === "LinearAxis")
      .map((axis) => [axis.x_range_name === "rest" ? "rest" : "observed", axis]))
    axisModels["method" + slot] = {above: frames(panel.above), below: frames(panel.below)}
    const tools = panel.toolbar.tools
    zoomTools.push(one(tools, "BoxZoomTool"))
    rangeTools.push(one(tools, "BoxSelectTool"))
  })
  nameAxes()
  if (state.asking) asking(true)
}

const comparing = () => Boolean(methodList.data.shown[0]) && methodPanels.length > 0
const methodRows = () => methodList.data.name.slice(1)
const allPanels = () => [...Object.values(panels), ...methodPanels]

// Columns of panels from top to bottom, each {key, panel, share}.
function columns() {
  const own = Object.keys(panels).filter((name) => state.panels[name])
    .map((name) => ({key: name, panel: panels[name], share: shares[name]}))
  if (!comparing()) return [own]
  const others = methodRows().slice(0, methodBoxes.length)
    .map((_, slot) => ({key: "method" + slot, panel: methodPanels[slot], share: SIDES.method}))
  const left = [...own.filter(({key}) => SIDES.left.includes(key)), ...others]
  const right = own.filter(({key}) => !SIDES.left.includes(key))
  return [left, right].filter((column) => column.length)
}

// Rows of a grid in which every panel of every column begins and ends at a row's edge.
function tracks(placed, height) {
  const free = Math.max(200, height - 2 * AXIS_ROOM)
  const cuts = new Set([0, free + 2 * AXIS_ROOM])
  const places = placed.map((column) => {
    const whole = column.reduce((sum, {share}) => sum + share, 0)
    let at = 0
    return column.map(({key, share}, i) => {
      const from = at
      at += share / whole * free + ((i === 0) + (i === column.length - 1)) * AXIS_ROOM
      if (i === column.length - 1) at = free + 2 * AXIS_ROOM
      at = Math.round(at)
      cuts.add(at)
      return {key, from, to: at}
    })
  })
  const edges = [...cuts].map(Math.round).sort((a, b) => a - b)
  return {places, edges: edges.filter((edge, i) => i === 0 || edge !== edges[i - 1])}
}

let side = false  // whether the panels stand side by side
const boxHeight = () => viewOf(panelBox)?.el.clientHeight || 640

function placeBeside(placed) {
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

function placeBelow(rows) {
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

function listMethods() {
  adoptMethods()
  const {name, title, state: states, shown} = methodList.data
  methodPanels.forEach((_, slot) => {
    methodTitles[slot].label = {value: title[slot + 1] ?? ""}
  })
  for (const button of findAll('button[data-group="method"]')) {
    const row = name.indexOf(button.dataset.value)
    button.setAttribute("aria-pressed", String(row > 0))
    button.dataset.state = row > 0 ? states[row] : ""
  }
  for (const bar of findAll("[data-methods]")) bar.hidden = !shown[0]
  arrange()
  schedule()
}

function fitMethods(from, to) {
  if (!comparing()) return
  methodRows().slice(0, methodBoxes.length).forEach((_, slot) => {
    const panel = methodPanels[slot]
    tick(panel)
    fitAttribution(panel, methodValues.data["m" + slot], from, to, 16)
    const axis = panel.left[0], unit = methodList.data.unit[slot + 1]
    const height = sizeOf(panel, "inner_height", 60)
    // read upwards: what lies above zero is what makes the spectrum improbable
    axis.axis_label = unit === "" ? "" : height > 130 ? `${unit} · more anomalous →` : height > 66 ? `${unit} · odd →` : unit
    writeNote(methodNotes[slot], panel, methodList.data.note[slot + 1])
  })
}

function writeNote(note, panel, words) {
  if (!words) { note.visible = false; return }
  const letters = Math.max(20, Math.floor(sizeOf(panel, "inner_width", 400) / 6.4) - 4)
  const lines = [""]
  for (const word of words.split(" ")) {
    const line = lines[lines.length - 1]
    if (line && line.length + word.length + 1 > letters) lines.push(word)
    else lines[lines.length - 1] = line ? `${line} ${word}` : word
  }
  const most = Math.max(1, Math.floor((sizeOf(panel, "inner_height", 60) - 22) / 14))
  if (lines.length > most) { lines.length = most; lines[most - 1] += " …" }
  note.setv({text: lines.join("\n"), y: (sizeOf(panel, "inner_height", 60) - 16) / 2, visible: true})
}

function chooseMethod(name) {
  const chosen = methodRows()
  if (!chosen.includes(name) && chosen.length >= methodBoxes.length) {
    say(`${methodBoxes.length} methods at most; switch one off first`)
    return
  }
  forward(`method-${name}`)
}
