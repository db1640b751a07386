// Keys and buttons that Python has to act on.
import {imo} from "./imo.js"
import {leaving} from "./models.js"

export function forward(name) {
  if (imo.form?.takes?.(name)) return  // it is about the label, or there is no server to send it to
  const number = imo.tell?.("key", name)
  imo.form?.forwarded?.(number, leaving.includes(name))  // then the target in sight is not the one that is meant
}
