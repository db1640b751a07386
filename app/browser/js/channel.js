// The one way to Python: an action and what goes with it. Messages are numbered, so that Python can say which it heard.
import {told} from "./channel_models.js"
import {imo} from "./imo.js"

imo.tell = (action, payload = "") => {
  const number = (told.data.count[0] ?? 0) + 1
  told.data = {action: [action], payload: [JSON.stringify(payload)], count: [number]}
  return number
}
