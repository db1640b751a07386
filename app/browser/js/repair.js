// The repair of the target: Python finds it, the page shows and hides it.
let announcing = false

function repair() {
  if (repairs.data.low.length) {
    layer("repair", !state.layers.repair)
    say(state.layers.repair ? "the repaired spectrum is shown" : "the repaired spectrum is hidden")
    return
  }
  layer("repair", true)
  announcing = true
  forward("repair")
  lookAtRepair()
}

// Its panel may be below what can be seen of the column; its words follow the curves.
function lookAtRepair() {
  setTimeout(() => find("[data-repair]")?.scrollIntoView({block: "nearest"}), 150)
}

const stopRepair = () => forward("repair-stop")

function repaired() {
  blank = false
  emptied.delete("repair")
  legendOfRepair()
  const count = repairs.data.low.length
  if (announcing) lookAtRepair()
  if (announcing && count) say(`repaired in ${count} region${count > 1 ? "s" : ""}`)
  announcing = false
}

// Its entry in the legend comes with it.
function legendOfRepair() {
  for (const item of layerModels.repair.filter((model) => model.type === "LegendItem")) {
    item.visible = state.layers.repair && repairs.data.low.length > 0
  }
}
