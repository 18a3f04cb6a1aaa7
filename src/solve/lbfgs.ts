import { RegraftError, throwIfAborted } from '../errors.ts'
import { type LinePoint, searchLine } from './line-search.ts'

/** A smooth function to minimise, and when to stop. */
export interface MinimiseOptions {
  readonly initial: Float64Array
  /** Value and gradient at x. The gradient's memory may be used again by the next call; x is not to be changed. */
  readonly evaluate: (x: Float64Array) => Promise<Evaluation> | Evaluation
  /** 500 when left out. */
  readonly maxIterations?: number
  /** Stop when no part of the gradient is larger; 1e-5 when left out. */
  readonly gradientTolerance?: number
  /** Stop when the value changed less than this, relative to its size (at least 1), three times in a row; 1e-10. */
  readonly functionTolerance?: number
  /** Pairs of steps kept for the curvature; 10 when left out. */
  readonly history?: number
  /** Relative rounding error of the value; 1e-7, that of sums of 32-bit floats, when left out. */
  readonly valueNoise?: number
  readonly signal?: AbortSignal | undefined
  readonly onIteration?: ((progress: IterationProgress) => void) | undefined
}

export interface Evaluation {
  readonly value: number
  readonly gradient: Float64Array
}

export interface IterationProgress {
  readonly iteration: number
  readonly value: number
  readonly gradientNorm: number
}

/** Why it stopped; `no-progress`: rounding hides any further descent. */
export type StopReason = 'gradient' | 'function' | 'iterations' | 'no-progress'

export interface Minimum {
  readonly x: Float64Array
  readonly value: number
  /** Largest absolute part of the gradient at x. */
  readonly gradientNorm: number
  readonly iterations: number
  readonly evaluations: number
  /** True for the reasons `gradient` and `function`. */
  readonly converged: boolean
  readonly reason: StopReason
}

/**
 * Minimises by L-BFGS in 64-bit arithmetic with sums in a fixed order: the same calls give the same bits. The result
 * is the best point seen, also when the value is only known to 32 bits.
 * @throws RegraftError  `data` when the value is not finite at the start; `interrupted`
 * @see Nocedal & Wright 2006, Numerical Optimization, algorithms 7.4 and 7.5
 */
export async function minimise(options: MinimiseOptions): Promise<Minimum> {
  const { maxIterations = 500, gradientTolerance = 1e-5, functionTolerance = 1e-10 } = options
  const { history = 10, valueNoise = 1e-7, signal, onIteration } = options
  let evaluations = 0

  const evaluate = async (x: Float64Array): Promise<Point> => {
    throwIfAborted(signal)
    evaluations += 1
    const { value, gradient } = await options.evaluate(x)
    if (gradient.length !== x.length) throw new RangeError(`The gradient has ${gradient.length} of ${x.length} parts.`)
    return { x, value, gradient: gradient.slice(), gradientNorm: largest(gradient) }
  }

  let point = await evaluate(options.initial.slice())
  if (!Number.isFinite(point.value) || !Number.isFinite(point.gradientNorm)) {
    const message = `The loss is ${point.value} before the first step.\nLook for NaN or infinite values in the data.`
    throw new RegraftError('data', message)
  }
  let best = point
  let lowest = point.value
  let curvature: Curvature[] = []
  let iterations = 0
  let quiet = 0

  const finish = (reason: StopReason): Minimum => {
    const { x, value, gradientNorm } = best
    return {
      x,
      value,
      gradientNorm,
      iterations,
      evaluations,
      converged: reason === 'gradient' || reason === 'function',
      reason,
    }
  }

  for (;;) {
    if (point.gradientNorm <= gradientTolerance) return finish('gradient')
    if (quiet >= 3) return finish('function')
    if (iterations >= maxIterations) return finish('iterations')

    const from = point
    const noise = valueNoise * Math.abs(from.value)
    let next = await descend(from, newtonDirection(from.gradient, curvature), curvature.length === 0, noise, evaluate)
    if (next === undefined && curvature.length > 0) {
      // Rounding may have spoilt the curvature: once more, straight downhill.
      curvature = []
      next = await descend(from, newtonDirection(from.gradient, curvature), true, noise, evaluate)
    }
    if (next === undefined) return finish('no-progress')

    const pair = curvatureOf(from, next)
    if (pair !== undefined) curvature = [...curvature, pair].slice(-history)
    const scale = Math.max(1, Math.abs(from.value), Math.abs(next.value))
    quiet = Math.abs(from.value - next.value) <= functionTolerance * scale ? quiet + 1 : 0
    point = next
    iterations += 1
    // Where rounding hides the difference of the values, the smaller gradient is nearer to the minimum.
    lowest = Math.min(lowest, point.value)
    const equal = best.value <= lowest + noise && point.value <= lowest + noise
    if (equal ? point.gradientNorm < best.gradientNorm : point.value < best.value) best = point
    onIteration?.({ iteration: iterations, value: point.value, gradientNorm: point.gradientNorm })
  }
}

interface Point extends Evaluation {
  readonly x: Float64Array
  readonly gradientNorm: number
}

/** One step and the change of the gradient along it. */
interface Curvature {
  readonly step: Float64Array
  readonly change: Float64Array
  /** 1 / (step · change) */
  readonly inverseProduct: number
  /** (step · change) / (change · change), the scale of the inverse curvature. */
  readonly scale: number
}

async function descend(
  from: Point,
  direction: Float64Array,
  isGradient: boolean,
  noise: number,
  evaluate: (x: Float64Array) => Promise<Point>,
): Promise<Point | undefined> {
  const start: LinePoint = { step: 0, value: from.value, slope: dot(from.gradient, direction) }
  if (!(start.slope < 0)) return undefined
  // The bare gradient has no natural length; begin with a step of at most 1.
  const firstStep = isGradient ? Math.min(1, 1 / Math.sqrt(-start.slope)) : 1
  const found = await searchLine(start, firstStep, noise, async (step) => {
    const point = await evaluate(from.x.map((value, i) => value + step * at(direction, i)))
    return { step, value: point.value, slope: dot(point.gradient, direction), point }
  })
  return found?.point
}

/** The two loops: minus the inverse curvature times the gradient. */
function newtonDirection(gradient: Float64Array, curvature: readonly Curvature[]): Float64Array {
  const direction = gradient.map((value) => -value)
  const weights: number[] = []
  for (const { step, change, inverseProduct } of curvature.toReversed()) {
    const weight = inverseProduct * dot(step, direction)
    weights.push(weight)
    addScaled(direction, -weight, change)
  }
  const scale = curvature.at(-1)?.scale ?? 1
  for (let i = 0; i < direction.length; i++) direction[i] = scale * at(direction, i)
  for (const { step, change, inverseProduct } of curvature) {
    addScaled(direction, (weights.pop() ?? 0) - inverseProduct * dot(change, direction), step)
  }
  return direction
}

/** Undefined when the step shows no positive curvature, which rounding can cause. */
function curvatureOf(from: Point, to: Point): Curvature | undefined {
  const step = to.x.map((value, i) => value - at(from.x, i))
  const change = to.gradient.map((value, i) => value - at(from.gradient, i))
  const product = dot(step, change)
  const changeSquared = dot(change, change)
  if (!(product > 1e-12 * Math.sqrt(dot(step, step) * changeSquared))) return undefined
  return { step, change, inverseProduct: 1 / product, scale: product / changeSquared }
}

function addScaled(to: Float64Array, factor: number, values: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] = at(to, i) + factor * at(values, i)
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += at(a, i) * at(b, i)
  return sum
}

/** Largest absolute value; NaN if there is one. */
function largest(values: Float64Array): number {
  let result = 0
  for (const value of values) {
    const size = Math.abs(value)
    if (Number.isNaN(size)) return size
    if (size > result) result = size
  }
  return result
}

/** The types do not know that i is in range. */
function at(values: Float64Array, i: number): number {
  return values[i] ?? Number.NaN
}
