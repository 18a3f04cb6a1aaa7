// The gradients of the kernels against centred differences of the float64 reference, parameter by parameter.
import { breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'
import { type Graph, type Layer, parameterName, parametersOf } from '../graph/graph.ts'
import type { Engine } from '../kernels/engine.ts'
import type { ImageInputAttributes } from '../ops/input.ts'
import type { PenaltyStrength } from '../optim/penalty.ts'
import { createUpdater } from '../optim/updater.ts'
import { randomStream } from '../random.ts'
import { kinkedLayers, type Reference, referenceOf } from '../reference/interpreter.ts'
import type { Loss } from '../runtime/loss.ts'
import type { ParameterStore } from '../runtime/parameters.ts'
import type { TrainingMode } from '../runtime/plan.ts'
import { createRunner } from '../runtime/runner.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Listener } from '../train/events.ts'
import { targetsOfLabels } from '../train/targets.ts'
import { isGood, type Verdict, verdictOn } from './gradient-verdict.ts'
import { readTensors } from './session.ts'

export interface GradientCheck {
  readonly engine: Engine
  /** With an image input and a classifier. */
  readonly graph: Graph
  readonly store: ParameterStore
  /** RGB bytes of the pictures, one after the other. */
  readonly pictures: Uint8Array
  readonly labels: Int32Array
  readonly training: TrainingMode & { readonly loss: Loss }
  readonly smoothing: number
  readonly penalty: PenaltyStrength
  /** How many coordinates of each parameter are tried. */
  readonly coordinates: number
  /** The h of [f(x + h) - f(x - h)]/2h; larger where a slope is too small for it. */
  readonly step: number
  readonly seed: number
  readonly signal?: AbortSignal | undefined
  readonly listener?: Listener | undefined
}

export interface CheckedTensor {
  readonly name: string
  readonly shape: Shape
  /** Layers with weights on the longest way from the loss down to it, its own included. */
  readonly depth: number
  readonly tried: number
  /** Coordinates at which a value crossed a kink between x - h and x + h. */
  readonly leftOut: number
  /** |analytic - numeric| / max(|analytic|, |numeric|) over the coordinates that remain; null when none does. */
  readonly error: number | null
  /** How far the kernels are from the reference's own backward pass: at these coordinates or over the tensor, whichever is more. */
  readonly drift: number | null
  /** How far the reference is from itself when it stores in float32, likewise; null without batch statistics. */
  readonly rounding: number | null
  readonly verdict: Verdict
}

/** A sum as both compute it. */
interface BothValues {
  readonly kernels: number
  readonly reference: number
}

export interface CheckedPenalty extends BothValues {
  readonly tensors: readonly CheckedTensor[]
}

export interface CheckedGradients {
  readonly dataLoss: BothValues
  readonly tensors: readonly CheckedTensor[]
  /** Apart from the loss of the data; undefined without a penalty. */
  readonly penalty: CheckedPenalty | undefined
  readonly tried: number
  readonly leftOut: number
  /** Values that float32 puts on the other side of a kink than float64: they make errors that are none. */
  readonly apart: number
  /** How often the pictures were changed by some grey levels to have fewer of these. */
  readonly nudged: number
  readonly good: boolean
}

/** How often pictures are nudged before values on the other side of a kink are put up with. */
const MOST_NUDGES = 6
/** Candidates for each coordinate, drawn at random; those with large gradients by the reference come first, since zeros tell nothing. */
const CANDIDATES = 4
/** How many of them are tried while values cross kinks. */
const MOST_TRIES = 3
/** A gradient this much smaller than the largest is none. */
const NO_GRADIENT = { exact: 1e-10, single: 1e-5 } as const
/** Relative difference of the two losses, or penalties, that rounding explains. */
const VALUE_LIMIT = 1e-4

/** @throws the reason of the signal */
export async function checkGradients(check: GradientCheck): Promise<CheckedGradients> {
  const { engine, graph, store, training, labels, signal } = check
  const images = labels.length
  const classes = graph.layers.find(({ name }) => name === graph.output)?.shape.at(-1) ?? 1
  const targets = targetsOfLabels(labels, {
    loss: training.loss,
    classes,
    smoothing: check.smoothing,
    pictures: images,
  })
  const kernels = createRunner(engine, graph, store, { images, input: 'bytes', training })
  try {
    await kernels.prepare(signal)
    const clear = async () => {
      if (kernels.zeroGradients) await engine.run([kernels.zeroGradients], 1, signal)
    }
    const names = store.parameters.map(({ name }) => name).filter((name) => training.trainable.has(name))
    const read = () => new Map(names.map((name) => [name, kernels.gradient(name).data]))
    await clear()
    const penalty = await checkPenalty(check, kernels, names, read)
    await clear()

    // A run with batch statistics moves the running ones.
    const parameters = new Map([...(await readTensors(store))].map(([name, { data }]) => [name, data]))
    const { bytes, reference, apart, nudged } = await apartFromKinks(check, parameters, targets)
    kernels.writeBytes(bytes)
    kernels.writeTargets(targets.values, targets.weights)
    await kernels.run(images, { signal })
    const losses = kernels.losses(images)
    const analytic = read()
    const tensors = await compareAll(check, reference, analytic, singleGradients(check, parameters, bytes, targets))
    const dataLoss = { kernels: losses.reduce((sum, each) => sum + each, 0), reference: reference.loss() }
    const limit = training.batchStatistics.size > 0 ? 100 * VALUE_LIMIT : VALUE_LIMIT
    return {
      dataLoss,
      tensors,
      penalty,
      tried: tensors.reduce((sum, each) => sum + each.tried, 0),
      leftOut: tensors.reduce((sum, each) => sum + each.leftOut, 0),
      apart,
      nudged,
      good:
        agree(dataLoss, limit) &&
        tensors.every(({ verdict }) => isGood(verdict)) &&
        (penalty === undefined ||
          (agree(penalty, VALUE_LIMIT) && penalty.tensors.every(({ verdict }) => isGood(verdict)))),
    }
  } finally {
    kernels.close()
  }
}

function agree({ kernels, reference }: BothValues, limit: number): boolean {
  return Math.abs(kernels - reference) <= limit * Math.max(Math.abs(kernels), Math.abs(reference))
}

type Targets = ReturnType<typeof targetsOfLabels>
type Parameters = ReadonlyMap<string, Float32Array>

function referenceFor(
  { graph, labels, training }: GradientCheck,
  parameters: Parameters,
  bytes: Uint8Array,
  targets: Targets,
  single = false,
): Reference {
  const entry = graph.layers.find((layer) => layer.op === 'imageInput')
  if (!entry) throw new Error('a gradient check needs a network that takes pictures')
  const options = { parameters, input: normalised(bytes, entry.attrs), images: labels.length, single }
  const step = { loss: training.loss, targets }
  return referenceOf(graph, { ...options, batchStatistics: training.batchStatistics }, step)
}

function normalised(bytes: Uint8Array, { mean, std }: ImageInputAttributes): Float64Array {
  return Float64Array.from(bytes, (value, at) => (value / 255 - (mean[at % 3] ?? 0)) / (std[at % 3] ?? 1))
}

function singleGradients(
  check: GradientCheck,
  parameters: Parameters,
  bytes: Uint8Array,
  targets: Targets,
): ReadonlyMap<string, Float64Array> | undefined {
  if (check.training.batchStatistics.size === 0) return undefined
  return referenceFor(check, parameters, bytes, targets, true).gradients()
}

/**
 * A value that stands so near a kink that float32 has it on the other side makes gradients differ that are both right. Another shade of
 * the pictures moves it away.
 */
async function apartFromKinks(check: GradientCheck, parameters: Parameters, targets: Targets) {
  const { engine, graph, store, training, labels, signal } = check
  const trained = reachedByTraining(graph, training.trainable)
  const { layers, seen } = kinkedLayers(graph)
  const matter = new Set([...layers].filter((name) => trained.has(name)))
  const breath = breathing()
  let best: { bytes: Uint8Array; reference: Reference; apart: number; nudged: number } | undefined
  // Running statistics must not move while looking.
  const kept = store.parameters
    .filter(({ spec }) => spec.kind === 'statistic')
    .map((parameter) => ({ parameter, values: engine.floats(parameter.address, parameter.length).slice() }))
  const watcher = createRunner(engine, graph, store, {
    images: labels.length,
    input: 'bytes',
    training,
    outputs: [...seen],
  })
  try {
    await watcher.prepare(signal)
    for (let nudged = 0; nudged <= MOST_NUDGES; nudged++) {
      throwIfAborted(signal)
      if (breath.due()) await breath.pause()
      const bytes = nudged === 0 ? check.pictures : shaded(check.pictures, check.seed, nudged)
      watcher.writeBytes(bytes)
      watcher.writeTargets(targets.values, targets.weights)
      await watcher.run(labels.length, { signal })
      for (const { parameter, values } of kept) engine.floats(parameter.address, parameter.length).set(values)
      const reference = referenceFor(check, parameters, bytes, targets)
      const apart = reference.sidesApart((layer) => Float64Array.from(watcher.read(layer, labels.length)), matter)
      if (best === undefined || apart < best.apart) best = { bytes, reference, apart, nudged }
      if (apart === 0) break
    }
  } finally {
    watcher.close()
  }
  if (best === undefined) throw new Error('the pictures were not looked at')
  return best
}

/** Each byte moved by up to three grey levels. */
function shaded(bytes: Uint8Array, seed: number, sample: number): Uint8Array {
  const random = randomStream({ seed, sample, purpose: 'gradcheck:shade' })
  return bytes.map((value) => Math.min(255, Math.max(0, value + random.integer(7) - 3)))
}

/** The layers that a trainable parameter reaches. */
function reachedByTraining(graph: Graph, trainable: ReadonlySet<string>): ReadonlySet<string> {
  const reached = new Set<string>()
  for (const layer of graph.layers) {
    const trains = parametersOf(layer).some((spec) => trainable.has(parameterName(layer, spec)))
    if (trains || layer.inputs.some((name) => reached.has(name))) reached.add(layer.name)
  }
  return reached
}

/** Layers with weights on the longest way from the output to each layer, its own included. */
function depths(graph: Graph): ReadonlyMap<string, number> {
  const above = new Map<string, number>()
  for (const layer of [...graph.layers].reverse()) {
    const own = (above.get(layer.name) ?? 0) + (hasWeights(layer) ? 1 : 0)
    above.set(layer.name, own)
    for (const input of layer.inputs) above.set(input, Math.max(above.get(input) ?? 0, own))
  }
  return above
}

function hasWeights(layer: Layer): boolean {
  return parametersOf(layer).some(({ kind }) => kind === 'weight')
}

async function compareAll(
  check: GradientCheck,
  reference: Reference,
  analytic: ReadonlyMap<string, Float32Array>,
  single: ReadonlyMap<string, Float64Array> | undefined,
): Promise<readonly CheckedTensor[]> {
  const { graph, store, signal, listener } = check
  const own = reference.gradients()
  const deep = depths(graph)
  const largest = Math.max(...[...own.values()].map((gradient) => norm(gradient)))
  const total = [...analytic.values()].reduce((sum, { length }) => sum + Math.min(length, check.coordinates), 0)
  const breath = breathing()
  listener?.({ type: 'phase', phase: 'gradcheck', total, unit: 'coordinates' })
  let done = 0
  const tensors: CheckedTensor[] = []
  for (const [name, gradient] of analytic) {
    const { layer, spec } = store.get(name)
    const exact = own.get(name) ?? new Float64Array(gradient.length)
    const values = store.read(name).data
    const pairs: { analytic: number; numeric: number; noise: number; exact: number; single: number }[] = []
    let tried = 0
    for (const candidates of drawCoordinates(check, name, exact)) {
      for (const at of candidates.slice(0, MOST_TRIES)) {
        throwIfAborted(signal)
        if (breath.due()) await breath.pause()
        tried++
        const slope = centredDifference(reference, name, at, values[at] ?? Number.NaN, check.step)
        if (slope === undefined) continue
        pairs.push({
          analytic: gradient[at] ?? Number.NaN,
          numeric: slope.value,
          noise: slope.noise,
          exact: exact[at] ?? Number.NaN,
          single: single?.get(name)?.[at] ?? Number.NaN,
        })
        break
      }
      listener?.({ type: 'progress', phase: 'gradcheck', done: ++done, total, detail: name })
    }
    const depth = deep.get(layer.name) ?? 1
    const error = relativeError(pairs.map((pair) => [pair.analytic, pair.numeric]))
    const size = Math.max(norm(pairs.map((pair) => pair.numeric)), norm(pairs.map((pair) => pair.analytic)))
    const noise = norm(pairs.map((pair) => pair.noise)) / size
    const drift = Math.max(relativeError(pairs.map((pair) => [pair.analytic, pair.exact])), distance(gradient, exact))
    const rounding = single
      ? Math.max(
          relativeError(pairs.map((pair) => [pair.single, pair.exact])),
          distance(single.get(name) ?? exact, exact),
        )
      : Number.NaN
    const none = norm(exact) <= NO_GRADIENT.exact * largest && norm(gradient) <= NO_GRADIENT.single * largest
    const verdict = none
      ? 'no gradient'
      : verdictOn({ error, noise, depth, ...(single ? { rounded: { drift, rounding } } : {}) })
    tensors.push({
      name,
      shape: spec.shape,
      depth,
      tried,
      leftOut: tried - pairs.length,
      error: orNull(error),
      drift: orNull(drift),
      rounding: orNull(rounding),
      verdict,
    })
  }
  listener?.({ type: 'phaseEnd', phase: 'gradcheck' })
  return tensors
}

/** Relative to the loss, what float64 loses on the way through a network. */
const LOST_DIGITS = 1e-16
/** Share of a slope that may be noise before a larger step is tried. */
const MOST_NOISE = 1e-6
/** Steps grow no further: the error of the difference itself grows with their square. */
const LARGEST_STEP = 1e-4

interface Slope {
  readonly value: number
  /** What of it rounding may have made. */
  readonly noise: number
}

/**
 * [f(x + h) - f(x - h)]/2h, or undefined when a value crosses a kink between the two. Where the slope is so small that rounding shows, h
 * is taken larger, as long as nothing is crossed.
 */
function centredDifference(
  reference: Reference,
  parameter: string,
  at: number,
  value: number,
  step: number,
): Slope | undefined {
  let best: Slope | undefined
  for (let h = step; best === undefined || h <= LARGEST_STEP; h *= 10) {
    const up = reference.lossWith(parameter, at, value + h)
    if (up.crossed) return best
    const down = reference.lossWith(parameter, at, value - h)
    if (down.crossed) return best
    best = { value: (up.loss - down.loss) / (2 * h), noise: (LOST_DIGITS * Math.abs(reference.loss())) / h }
    if (best.noise <= MOST_NOISE * Math.abs(best.value)) break
  }
  return best
}

/** Coordinates that are spread over the tensor at random, all of a small one: for each place the candidates, best first. */
function drawCoordinates(
  { coordinates, seed }: Pick<GradientCheck, 'coordinates' | 'seed'>,
  name: string,
  gradient: ArrayLike<number>,
): readonly (readonly number[])[] {
  const { length } = gradient
  if (length <= coordinates) return Array.from({ length }, (_, at) => [at])
  const random = randomStream({ seed, purpose: `gradcheck:${name}` })
  const stretch = length / coordinates
  const size = (at: number) => Math.abs(gradient[at] ?? 0)
  return Array.from({ length: coordinates }, (_, index) => {
    const [from, to] = [Math.floor(index * stretch), Math.floor((index + 1) * stretch)]
    const drawn = new Set(Array.from({ length: CANDIDATES }, () => from + random.integer(to - from)))
    return [...drawn].sort((a, b) => size(b) - size(a))
  })
}

async function checkPenalty(
  { engine, store, penalty, coordinates, step, seed, signal }: GradientCheck,
  kernels: ReturnType<typeof createRunner>,
  names: readonly string[],
  read: () => ReadonlyMap<string, Float32Array>,
): Promise<CheckedPenalty | undefined> {
  if (penalty.l2 === 0 && penalty.l1 === 0) return undefined
  const updater = createUpdater(engine, kernels, store, { optimiser: 'sgd', weightDecay: 0, penalty, clipNorm: 0 })
  try {
    await engine.run([updater.measure], 1, signal)
    const gradients = read()
    const cost = (w: number) => (penalty.l2 / 2) * w * w + penalty.l1 * Math.abs(w)
    let reference = 0
    const tensors: CheckedTensor[] = []
    for (const name of names) {
      const { spec } = store.get(name)
      if (spec.kind !== 'weight') continue
      const values = store.read(name).data
      const gradient = gradients.get(name) ?? new Float32Array(0)
      reference += values.reduce((sum, w) => sum + cost(w), 0)
      const chosen = drawCoordinates({ coordinates, seed }, name, values).map(([first = 0]) => first)
      const pairs: (readonly [number, number])[] = []
      for (const at of chosen) {
        const w = values[at] ?? Number.NaN
        // The absolute value has its kink at zero.
        if (penalty.l1 > 0 && Math.abs(w) <= step) continue
        pairs.push([gradient[at] ?? Number.NaN, (cost(w + step) - cost(w - step)) / (2 * step)])
      }
      const error = relativeError(pairs)
      tensors.push({
        name,
        shape: spec.shape,
        depth: 1,
        tried: chosen.length,
        leftOut: chosen.length - pairs.length,
        error: orNull(error),
        drift: null,
        rounding: null,
        verdict: verdictOn({ error, noise: 0, depth: 1 }),
      })
    }
    return { kernels: await updater.penalty(), reference, tensors }
  } finally {
    updater.close()
  }
}

/** |a - b| / max(|a|, |b|), 0 for two zeros, NaN for nothing. */
function relativeError(pairs: readonly (readonly [number, number])[]): number {
  if (pairs.length === 0) return Number.NaN
  const apart = norm(pairs.map(([a, b]) => a - b))
  const size = Math.max(norm(pairs.map(([a]) => a)), norm(pairs.map(([, b]) => b)))
  // What is not a number must not pass for zero or for nothing.
  if (!Number.isFinite(apart)) return Number.POSITIVE_INFINITY
  return size === 0 ? 0 : apart / size
}

/** The relative error over all values. */
function distance(one: ArrayLike<number>, other: Float64Array): number {
  return relativeError(Array.from(other, (value, at) => [one[at] ?? Number.NaN, value]))
}

function norm(values: ArrayLike<number>): number {
  let sum = 0
  for (let at = 0; at < values.length; at++) sum += (values[at] ?? Number.NaN) ** 2
  return Math.sqrt(sum)
}

/** JSON knows neither NaN nor infinity. */
function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : Math.min(value, Number.MAX_VALUE)
}
