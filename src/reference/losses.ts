// The losses in float64: their sum over pictures, the gradient of the outputs, and on which side of its kinks each term is.
import type { Loss } from '../runtime/loss.ts'
import { logistic } from './activations.ts'

export interface LossTargets {
  /** [images, classes], soft */
  readonly values: ArrayLike<number>
  /** How much each picture counts, [images]. */
  readonly weights: ArrayLike<number>
}

export interface LossValue {
  /** Sum over pictures. */
  readonly value: number
  /** [images, classes] */
  readonly dOutputs: Float64Array
  /** 1 where a hinge is open, [images, classes, classes], or an output above its target, [images, classes]; empty for losses without kinks. */
  readonly sides: Uint8Array
}

export function lossOf(loss: Loss, outputs: Float64Array, targets: LossTargets, classes: number): LossValue {
  const images = outputs.length / classes
  const dOutputs = new Float64Array(outputs.length)
  const rowSides = loss.kind === 'hinge' ? classes ** 2 : loss.kind === 'l1' ? classes : 0
  const sides = new Uint8Array(images * rowSides)
  let value = 0
  for (let image = 0; image < images; image++) {
    const row = Array.from(outputs.subarray(image * classes, (image + 1) * classes))
    const wanted = row.map((_, c) => targets.values[image * classes + c] ?? Number.NaN)
    const weight = targets.weights[image] ?? Number.NaN
    const own = rowLoss(loss, row, wanted, sides.subarray(image * rowSides, (image + 1) * rowSides))
    value += weight * own.value
    for (const [c, slope] of own.slopes.entries()) dOutputs[image * classes + c] = weight * slope
  }
  return { value, dOutputs, sides }
}

interface RowLoss {
  readonly value: number
  readonly slopes: readonly number[]
}

function rowLoss(loss: Loss, x: readonly number[], t: readonly number[], sides: Uint8Array): RowLoss {
  switch (loss.kind) {
    case 'ce': {
      const logs = logSoftmax(x)
      const total = t.reduce((sum, target) => sum + target, 0)
      return {
        value: sumOver(t, (target, c) => -target * (logs[c] ?? Number.NaN)),
        slopes: logs.map((log, c) => total * Math.exp(log) - (t[c] ?? Number.NaN)),
      }
    }
    case 'bce': {
      const positive = (target: number, c: number) => (loss.positives?.[c] ?? 1) * target
      return byOutput(
        x,
        t,
        (value, target, c) => (1 - target + positive(target, c)) * softplus(value) - value * positive(target, c),
        (value, target, c) => (1 - target + positive(target, c)) * logistic(value) - positive(target, c),
      )
    }
    case 'sigmoid-focal': {
      const { gamma, alpha } = loss
      const counts = (target: number) => alpha * target + (1 - alpha) * (1 - target)
      const wrong = (value: number, target: number) => logistic(value) * (1 - target) + logistic(-value) * target
      return byOutput(
        x,
        t,
        (value, target) => counts(target) * wrong(value, target) ** gamma * (softplus(value) - value * target),
        (value, target) => {
          const q = wrong(value, target)
          const steep = q === 0 ? 0 : (logistic(value) * logistic(-value) * (1 - 2 * target)) / q
          const pull = logistic(value) - target + gamma * (softplus(value) - value * target) * steep
          return counts(target) * q ** gamma * pull
        },
      )
    }
    case 'quadratic':
      return byOutput(
        x,
        t,
        (value, target) => (logistic(value) - target) ** 2 / 2,
        (value, target) => (logistic(value) - target) * logistic(value) * logistic(-value),
      )
    case 'mse':
      return byOutput(
        x,
        t,
        (value, target) => (value - target) ** 2,
        (value, target) => 2 * (value - target),
      )
    case 'l1':
      for (const [c, value] of x.entries()) sides[c] = value > (t[c] ?? Number.NaN) ? 1 : 0
      return byOutput(
        x,
        t,
        (value, target) => Math.abs(value - target),
        (value, target) => Math.sign(value - target),
      )
    case 'smooth-l1':
      return huber(x, t, loss.beta, 1 / loss.beta)
    case 'huber':
      return huber(x, t, loss.delta, 1)
    case 'hinge':
      return hinge(loss, x, t, sides)
    case 'focal': {
      const { gamma } = loss
      const logs = logSoftmax(x)
      // Of -(1 - p)^gamma·log p with respect to log p.
      const pulls = logs.map((log, c) => {
        const p = Math.exp(log)
        const steep = gamma === 0 ? 0 : gamma * (1 - p) ** (gamma - 1) * p * log
        return (t[c] ?? Number.NaN) * (steep - (1 - p) ** gamma)
      })
      const total = pulls.reduce((sum, pull) => sum + pull, 0)
      return {
        value: sumOver(t, (target, c) => -target * (1 - Math.exp(logs[c] ?? 0)) ** gamma * (logs[c] ?? Number.NaN)),
        slopes: logs.map((log, c) => (pulls[c] ?? Number.NaN) - Math.exp(log) * total),
      }
    }
  }
}

function hinge(
  { margin, power }: { readonly margin: number; readonly power: 1 | 2 },
  x: readonly number[],
  t: readonly number[],
  sides: Uint8Array,
): RowLoss {
  let value = 0
  const slopes = x.map(() => 0)
  for (const [label, target] of t.entries()) {
    if (target === 0) continue
    for (const [other, score] of x.entries()) {
      const excess = margin - (x[label] ?? Number.NaN) + score
      if (other === label || excess <= 0) continue
      sides[label * x.length + other] = 1
      value += target * excess ** power
      const slope = target * power * excess ** (power - 1)
      slopes[other] = (slopes[other] ?? 0) + slope
      slopes[label] = (slopes[label] ?? 0) - slope
    }
  }
  return { value, slopes }
}

/** Its slope has no jump, so it has no kinks that differences would stumble over. */
function huber(x: readonly number[], t: readonly number[], delta: number, scale: number): RowLoss {
  return byOutput(
    x,
    t,
    (value, target) => {
      const size = Math.abs(value - target)
      return scale * (size <= delta ? size ** 2 / 2 : delta * (size - delta / 2))
    },
    (value, target) => scale * Math.max(-delta, Math.min(delta, value - target)),
  )
}

type OfOutput = (value: number, target: number, at: number) => number

function byOutput(x: readonly number[], t: readonly number[], term: OfOutput, slope: OfOutput): RowLoss {
  return {
    value: sumOver(x, (value, c) => term(value, t[c] ?? Number.NaN, c)),
    slopes: x.map((value, c) => slope(value, t[c] ?? Number.NaN, c)),
  }
}

/** log(1 + e^x) */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

function sumOver(values: readonly number[], term: (value: number, at: number) => number): number {
  return values.reduce((sum, value, at) => sum + term(value, at), 0)
}

function logSoftmax(x: readonly number[]): number[] {
  const largest = Math.max(...x)
  const logSum = largest + Math.log(x.reduce((total, value) => total + Math.exp(value - largest), 0))
  return x.map((value) => value - logSum)
}
