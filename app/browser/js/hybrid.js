// The live explanation: the window and the hybrid are made here; Python is asked for log p alone, at most every 80 ms.
import {find} from "./dom.js"
import {
  answer, baselines, curves, drawn, effect, facts, grid, hints, panels, range, sizes, strip,
} from "./hybrid_models.js"
import {imo} from "./imo.js"

const {start: first, step, count} = grid
const last = first + step * (count - 1)
const angstrom = (pixel) => first + step * pixel
const state = {at: 0, window: sizes.includes(64) ? 64 : sizes[sizes.length - 1], baseline: 0, playing: false, ready: false}
let known = new Map()  // log p by first pixel, for this baseline and window
let timer = null, due = null
let sweepEnd = 0  // the last place that a sweep asks for

const fact = (name, text) => {
  const place = find(`[data-hybrid] [data-fact="${name}"]`)
  if (place && place.textContent !== text) place.textContent = text
}
const signed = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits)
const plain = (value, digits = 2) => value.toFixed(digits).replace("-", "−")
const open = () => (find("[data-hybrid]")?.getClientRects().length ?? 0) > 0

const own = () => baselines.data.values[state.baseline]

function replacedPixels(at) {
  let n = 0
  for (let i = at; i < Math.min(count, at + state.window); i++) n += curves.data.usable[i]
  return n
}

// The view: everything for wide windows; for narrow ones a part of the spectrum, so that the window can be seen.
function span() {
  return state.window >= 64 ? null : Math.max(130, 60 * state.window * step)
}

function follow(again) {
  const half = span()
  if (half === null) { range.setv({start: first, end: last}); return }
  const centre = angstrom(state.at + state.window / 2)
  const inside = centre > range.start + 0.1 * half && centre < range.end - 0.1 * half
  if (!again && inside && range.end - range.start < 2.1 * half) return
  range.setv({start: centre - half, end: centre + half})
}

function fit() {
  const from = Math.max(0, Math.floor((range.start - first) / step))
  const to = Math.min(count - 1, Math.ceil((range.end - first) / step))
  const curvesShown = {outlier: curves.data.outlier, baseline: own(), hybrid: drawn.data.hybrid}
  for (const [name, values] of Object.entries(curvesShown)) {
    if (!values) continue
    const there = []
    for (let i = from; i <= to; i++) if (Number.isFinite(values[i])) there.push(values[i])
    if (!there.length) continue
    there.sort((a, b) => a - b)
    const low = there[Math.floor(0.003 * (there.length - 1))], high = there[there.length - 1]
    const pad = 0.08 * (high - low || 1)
    panels[name].y_range.setv({start: low - pad, end: high + pad + 0.25 * (high - low)})
  }
  const {y} = effect.data
  const low = Math.min(0, ...y), high = Math.max(0, ...y)
  const pad = high - low || 1
  panels.effect.y_range.setv({start: low - 0.08 * pad, end: high + 0.3 * pad})
}

function draw() {
  const base = own()
  if (!base) return
  const hybrid = Float32Array.from(base), {outlier, usable} = curves.data
  const stop = Math.min(count, state.at + state.window)
  for (let i = state.at; i < stop; i++) if (usable[i]) hybrid[i] = outlier[i]
  drawn.data = {x: drawn.data.x, baseline: base, hybrid}
  const wide = Math.max(state.window * step, (range.end - range.start) / 400) - state.window * step
  strip.data = {low: [angstrom(state.at) - wide / 2], high: [angstrom(stop) + wide / 2]}
  writeFacts()
}

function writeFacts() {
  const {at, window: w} = state
  const base = baselines.data.log_prob[state.baseline], found = known.get(at), n = replacedPixels(at)
  const z = facts.data.z[0]
  fact("where", `${angstrom(at).toFixed(0)}–${angstrom(at + w - 1).toFixed(0)} Å, rest ${(angstrom(at) / (1 + z)).toFixed(0)}–` +
    `${(angstrom(at + w - 1) / (1 + z)).toFixed(0)} Å · ${w} ${w === 1 ? "pixel" : "pixels"}`)
  fact("base", base === undefined ? "–" : plain(base))
  fact("own", Number.isFinite(facts.data.log_prob[0]) ? plain(facts.data.log_prob[0]) : "–")
  const there = found !== undefined
  fact("hybrid", there ? plain(found) : "…")
  fact("fall", !n ? "nothing to replace" : there ? signed(base - found, 2) + " nat" : "…")
  fact("each", there && n ? `${signed((base - found) / n, 4)} nat / pixel` : "")
  fact("meaning", !there || !n ? "" : base - found > 0.5 ? "log p falls: ordinary galaxies do not look like this here"
    : base - found < -0.5 ? "log p rises: even more ordinary than before" : "hardly a change: nothing odd here")
  const bar = find("[data-hybrid] [data-bar]")
  if (bar && there) bar.style.setProperty("--fall", Math.min(1, Math.max(0, (base - found) / Math.max(5, base - facts.data.log_prob[0]))))
  for (const button of find("[data-hybrid]")?.querySelectorAll("button[data-size]") ?? []) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.size) === w))
  }
  const slider = find("[data-hybrid] input[type=range]")
  if (slider && document.activeElement !== slider) slider.value = at
  const play = find("[data-hybrid] [data-play]")
  if (play) play.textContent = state.playing ? "Stop" : "Play"
  const chooser = find("[data-hybrid] select")
  if (chooser && chooser.options.length !== baselines.data.log_prob.length) {
    const all = baselines.data.log_prob.length
    chooser.replaceChildren(...baselines.data.log_prob.map((_, i) => new Option(`${i + 1} of ${all}`, String(i))))
  }
  if (chooser) chooser.value = state.baseline
}

function send(start, stop, stride) {
  imo.tell?.("hybrid", {start, stop, step: stride, window: state.window, baseline: state.baseline})
}

function ask() {  // at once if the last question is old enough, else when it is
  if (known.has(state.at)) return
  due = state.at
  if (timer !== null) return
  send(state.at, state.at + 1, 1)
  due = null
  timer = setTimeout(() => { timer = null; if (due !== null && due === state.at && !state.playing) ask() }, 80)
}

function moveTo(pixel, playing = false) {
  if (!state.ready) return
  if (!playing && state.playing) pause()
  state.at = Math.max(0, Math.min(count - state.window, Math.round(pixel)))
  follow(false)
  draw()
  if (!playing) ask()
  fit()
}

function forget() {
  known = new Map()
  effect.data = {x: [], y: []}
}

/** @param {number} pixels @param {number | null} at */
function size(pixels, at = null) {
  if (!sizes.includes(pixels)) return
  pause()
  const centre = state.at + state.window / 2
  state.window = pixels
  forget()
  const hint = hints.data.window.indexOf(pixels)
  state.at = at ?? Math.max(0, Math.min(count - pixels, Math.round(centre - pixels / 2)))
  if (at === null && hint >= 0 && hintNear(hints.data.start[hint], centre)) state.at = hints.data.start[hint]
  follow(true)
  moveTo(state.at)
}

// Where that window size sees most, if it is about where the window was.
const hintNear = (pixel, centre) => Math.abs(pixel - centre) < 256

function baseline(number) {
  if (!(number >= 0 && number < baselines.data.values.length)) return
  pause()
  state.baseline = number
  forget()
  moveTo(state.at)
}

function answered() {
  const {start, window: of, baseline: which, log_prob, last: ended} = answer.data
  if (!start.length || of[0] !== state.window || which[0] !== state.baseline) return
  const base = baselines.data.log_prob[state.baseline]
  start.forEach((at, i) => known.set(at, log_prob[i]))
  const places = [...known.keys()].filter(replacedPixels).sort((a, b) => a - b)
  effect.data = {
    x: places.map((at) => angstrom(at + (state.window - 1) / 2)),
    y: places.map((at) => (base - known.get(at)) / replacedPixels(at)),
  }
  if (state.playing) {
    const place = start[start.length - 1]
    moveTo(place, true)
    // what was asked before the sweep may be answered during it
    if (ended[0] && place === sweepEnd) { state.playing = false; writeFacts() }
  } else {
    writeFacts()
    fit()
  }
}

function pause() {
  if (!state.playing) return
  state.playing = false
  imo.tell?.("hybrid", null)
  writeFacts()
}

function play() {
  if (!state.ready) return
  if (state.playing) { pause(); return }
  const from = Math.max(0, Math.floor((range.start - first) / step))
  const to = Math.min(count - state.window + 1, Math.ceil((range.end - first) / step))
  const stride = Math.max(state.window, Math.ceil((to - from) / 160))
  const begin = from - from % stride
  sweepEnd = begin + stride * Math.floor((to - 1 - begin) / stride)
  state.playing = true
  send(begin, to, stride)
  writeFacts()
}

// The sheet is shown a moment after its data are there.
function stage() {
  const there = facts.data.id[0] !== ""
  state.ready = there && baselines.data.values.length > 0
  let tries = 0
  function when() {
    const box = find("[data-hybrid]")
    if (!box || !open()) { if (tries++ < 300) requestAnimationFrame(when); return }
    fact("words", facts.data.words[0])
    box.toggleAttribute("data-ready", state.ready)
    fact("id", facts.data.id[0])
    if (!state.ready) { strip.data = {low: [], high: []}; return }
    state.playing = false
    state.baseline = Math.min(state.baseline, baselines.data.values.length - 1)
    const hint = hints.data.window.indexOf(state.window)
    size(state.window, hint >= 0 ? hints.data.start[hint] : Math.floor((count - state.window) / 2))
  }
  when()
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !open() || document.querySelector("dialog[open]")) return
  const field = event.composedPath().find((node) => node instanceof Element && node.matches("input, select, textarea"))
  const pressed = event.composedPath().some((node) => node instanceof Element && node.matches("button"))
  const by = Math.max(1, Math.round(state.window / 4)) * (event.shiftKey ? 8 : 1)
  const at = sizes.indexOf(state.window)
  if (event.key === "Escape") imo.explorer.keys.run("method")
  else if (field || !state.ready) return
  else if (event.key === "ArrowLeft") moveTo(state.at - by)
  else if (event.key === "ArrowRight") moveTo(state.at + by)
  else if (event.key === "ArrowUp") size(sizes[at + 1] ?? state.window)
  else if (event.key === "ArrowDown") size(sizes[at - 1] ?? state.window)
  else if (event.key === " " && !pressed) play()
  else return
  event.preventDefault()
  event.stopPropagation()
}

// This code runs with every target; the first of them starts it.
if (!imo.hybrid) {
  window.addEventListener("keydown", onKey, true)
  imo.hybrid = {
    stage, answered, play, size, baseline, moveTo, state,
    dragged: (x) => moveTo((x - first) / step - state.window / 2),
  }
}
imo.hybrid.stage()
