// What the browser's code is given: Bokeh's part of it, and what Python hands over as `models`.

/** Bokeh's global. Its modules are private; what is patched of them is in js/bokeh.js. */
declare const Bokeh: any
/** What Python gives the modules of a scope; each reads it once, with its own type. */
declare const models: any

interface Window {
  /** The one global of the page; see js/imo.js. */
  imo?: Imo
}

type Signal = {emit(): void}

/** Any model of Bokeh's: the properties of its kind, and these. */
interface Model {
  [property: string]: any
  name: string | null
  tags: any[]
  type: string
  visible: boolean
  change: Signal
  setv(values: object, options?: object): void
  property(name: string): {is_unset: boolean}
}

interface Range {
  start: number
  end: number
  setv(values: {start?: number, end?: number}): void
}

/** A data source: columns of equal length. */
interface Source<Columns = Record<string, any>> {
  data: Columns
  tags: any[]
  change: Signal
}

type Floats = Float32Array
type Frame = "observed" | "rest"
type AxesByFrame = Record<Frame, Model>
type OuterAxes = {above: AxesByFrame, below: AxesByFrame}
type Grid = {start: number, step: number, count: number}
type View = {label: string, low: number | null, high: number | null}
type Key = {keys: string[], action: string, words: string, group: string, forwarded: boolean, repeats: boolean}
type Interval = {low: number[], high: number[]}

interface Target {
  id: string[]
  z: number[]
  normalised: boolean[]
  noise_known: boolean[]
  part: string[]
}

interface MethodList {
  shown: boolean[]
  name: string[]
  title: string[]
  unit: string[]
  note: string[]
  state: string[]
}

interface SecondModels {
  layout: Model
  pixels: Source
  baselines: Source
  panels: Record<string, Model>
  wavelength: Range
  rest: Range
  below: AxesByFrame
  above: AxesByFrame
  grids: Record<Frame, Model[]>
  low: number
  high: number
  label: string
}

interface ExplorerModels {
  attribution: Source<Record<string, Floats>>
  axisModels: Record<string, OuterAxes>
  brush: Source<Interval>
  drawn: Source<Record<string, Floats>>
  features: Source<Record<string, any[]>>
  grid: Grid
  gridModels: Record<string, Model[]>
  idle: string
  instrument: Source<Interval & {name: string[]}>
  keyboard: Key[]
  labels: Model
  layerModels: Record<string, Model[]>
  layersAtFirst: Record<string, boolean>
  leaving: string[]
  lightSpeed: number
  lines: Source
  methodBoxes: Model[]
  methodList: Source<MethodList>
  methodValues: Source<Record<string, Floats>>
  notYet: string
  panelBox: Model
  panels: Record<string, Model>
  rangeTools: Model[]
  repairs: Source<Record<string, any[]>>
  rest: Range
  scaleMap: Source<{image: Floats[]}>
  secondView: SecondModels
  shares: Record<string, number>
  significance: Source<{bits: Int32Array[], why_not: string[], level: number[]}>
  significantFaded: Model[]
  significantMap: Source<{image: Floats[]}>
  significantNames: string[]
  significantOver: Model[]
  significantValues: Source<Record<string, Floats>>
  singles: Source<Record<string, Floats[]>>
  smoothings: number[]
  spectrum: Source<{x: Floats, flux: Floats, sigma: Floats, model: Floats}>
  target: Source<Target>
  views: Record<string, View>
  wavelength: Range
  windows: number[]
  zoomTools: Model[]
}

interface HybridModels {
  answer: Source<Record<string, any[]>>
  baselines: Source<{values: Floats[], log_prob: number[]}>
  curves: Source<{x: Floats, outlier: Floats, usable: Uint8Array}>
  drawn: Source<Record<string, Floats>>
  effect: Source<{x: number[], y: number[]}>
  facts: Source<{id: string[], z: number[], log_prob: number[], count: number[], words: string[]}>
  grid: Grid
  hints: Source<{window: number[], start: number[]}>
  panels: Record<string, Model>
  range: Range
  sizes: number[]
  strip: Source<Interval>
}

interface FormModels {
  known: Source<Record<string, any[]>>
  owner: string
  user: string
}

interface ConnectionModels {
  alive: string
  height: number
  page: string
  target: Source<Target>
}

interface AddressModels {
  methods: Source<MethodList>
  target: Source<Target>
  wanted: {view?: string, range?: number[]}
  wavelength: Range
}

interface LookModels {
  look: Source<{word: string[]}>
  names: {look: string, owner: string}
  owner: string
}

interface ChannelModels {
  told: Source
}

/** What one part of the page offers the others, and the buttons. */
interface Imo {
  explorer?: any
  form?: any
  hybrid?: any
  connection?: any
  address?: any
  look?: any
  /** Of each of Bokeh's functions that is replaced: true, or why it was not; see js/patches.js. */
  patches?: Record<string, true | string>
  /** Tells Python, and returns the number of the message; see js/channel.js. */
  tell?(action: string, payload?: any): number
}
