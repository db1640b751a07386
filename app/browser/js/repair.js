// The repair of the target: Python finds it, the page shows and hides it.
import {arrived} from "./computed.js"
import {find, say} from "./dom.js"
import {forward} from "./forward.js"
import {layer} from "./layers.js"
import {showLegend} from "./legend.js"
import {repairs} from "./models.js"
import {state} from "./page.js"

let announcing = false

export function repair() {
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

export const stopRepair = () => forward("repair-stop")

export function repaired() {
  arrived("repair")
  showLegend()
  const count = repairs.data.low.length
  if (announcing) lookAtRepair()
  if (announcing && count) say(`repaired in ${count} region${count > 1 ? "s" : ""}`)
  announcing = false
}
