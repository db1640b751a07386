// Numbers of features and of a repair's regions stand in a row, none over another, each with a leader to its place.
import {features, panels, repairs, wavelength} from "./models.js"
import {letters, sizeOf} from "./page.js"

export const numberWidth = () => 1.2 * letters() + 6
export const numberRow = () => letters() + 10  // pixels of the row

// Places, in pixels from 0 to width, as near as can be to those wanted, which are sorted, and so far apart.
export function spread(wanted, apart, width) {
  const groups = []
  wanted.forEach((at, i) => {
    let group = {sum: at - i * apart, count: 1}  // all that stand side by side are one group, around their mean
    for (let last = groups.at(-1); last && last.sum / last.count >= group.sum / group.count; last = groups.at(-1)) {
      groups.pop()
      group = {sum: last.sum + group.sum, count: last.count + group.count}
    }
    groups.push(group)
  })
  const most = Math.max(0, width - apart * wanted.length)
  return groups.flatMap(({sum, count}) => Array(count).fill(Math.max(0, Math.min(most, sum / count - apart / 2))))
    .map((left, i) => left + (i + 0.5) * apart)
}

// What is drawn of a source: at, spot (wavelengths), tip and foot (shares of the height).
function place(source, panel, foot, tipOf) {
  const {low, high, at: own} = source.data
  if (!low.length) return
  const width = sizeOf(panel, "inner_width", 800), from = wavelength.start, to = wavelength.end
  const scale = width / (to - from)
  const inView = [...low.keys()].filter((i) => high[i] >= from && low[i] <= to)
  const anchors = own.map((at, i) => Math.max(from, low[i], Math.min(to, high[i], at)))
  inView.sort((a, b) => anchors[a] - anchors[b])
  const apart = Math.min(numberWidth(), width / Math.max(1, inView.length))
  const places = spread(inView.map((i) => (anchors[i] - from) * scale), apart, width)
  const spot = low.map(() => NaN)
  inView.forEach((i, k) => { spot[i] = from + places[k] / scale })
  const tip = low.map((_, i) => tipOf(i, Math.abs(anchors[i] - own[i]) > 1 / scale))
  const same = (a, b) => a.every((value, i) => value === b[i] || (Number.isNaN(value) && Number.isNaN(b[i])))
  if (same(spot, source.data.spot) && same(tip, source.data.tip) && source.data.foot[0] === foot) return
  Object.assign(source.data, {spot, tip, foot: low.map(() => foot)})
  source.change.emit()
}

export function placeNumbers() {
  const {start, end} = panels.combined.y_range, height = sizeOf(panels.combined, "inner_height", 80)
  const foot = 1 - numberRow() / height
  place(features, panels.combined, foot, (i, outOfView) => outOfView ? foot
    : Math.max(0, Math.min(foot, (features.data.peak[i] - start) / (end - start))))
  const tall = sizeOf(panels.spectrum, "inner_height", 200)
  place(repairs, panels.spectrum, numberRow() / tall, () => (numberRow() + 8) / tall)
}

// Which feature's number is at these pixels of the combined panel.
export function numberAt(sx, sy) {
  if (sy > numberRow()) return -1
  const scale = sizeOf(panels.combined, "inner_width", 800) / (wavelength.end - wavelength.start)
  const left = panels.combined.min_border_left
  return features.data.spot.findIndex((spot) =>
    Math.abs(left + (spot - wavelength.start) * scale - sx) < numberWidth() / 2)
}
