// The way to Python of buttons: an action and a word.
import {said} from "./channel_models.js"
import {imo} from "./imo.js"

imo.tell = (action, word = "") => {
  said.data = {action: [action], word: [word], count: [(said.data.count[0] ?? 0) + 1]}
}
