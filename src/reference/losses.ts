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
  /** 1 where a hinge is open, [images, classes, classes]; empty for losses without kinks. */
  readonly sides: Uint8Array
}

export function lossOf(loss: Loss, outputs: Float64Array, targets: LossTargets, classes: number): LossValue {
  const images = outputs.length / classes
  const dOutputs = new Float64Array(outputs.length)
  const sides = new Uint8Array(loss.kind === 'hinge' ? images * classes * classes : 0)
  let value = 0
  for (let image = 0; image < images; image++) {
    const row = Array.from(outputs.subarray(image * classes, (image + 1) * classes))
    const wanted = row.map((_, c) => targets.values[image * classes + c] ?? Number.NaN)
    const weight = targets.weights[image] ?? Number.NaN
    const own = rowLoss(loss, row, wanted, sides.subarray(image * classes ** 2, (image + 1) * classes ** 2))
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
    case 'bce':
      return byOutput(
        x,
        t,
        (value, target) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value))) - value * target,
        (value, target) => logistic(value) - target,
      )
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

function byOutput(
  x: readonly number[],
  t: readonly number[],
  term: (value: number, target: number) => number,
  slope: (value: number, target: number) => number,
): RowLoss {
  return {
    value: sumOver(x, (value, c) => term(value, t[c] ?? Number.NaN)),
    slopes: x.map((value, c) => slope(value, t[c] ?? Number.NaN)),
  }
}

function sumOver(values: readonly number[], term: (value: number, at: number) => number): number {
  return values.reduce((sum, value, at) => sum + term(value, at), 0)
}

function logSoftmax(x: readonly number[]): number[] {
  const largest = Math.max(...x)
  const logSum = largest + Math.log(x.reduce((total, value) => total + Math.exp(value - largest), 0))
  return x.map((value) => value - logSum)
}
