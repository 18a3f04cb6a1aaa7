// Outputs that order classes rightly but are no logits, brought to the scale of logits.
import { exp, log } from '../exact-math.ts'

/** Scales looked at, as powers of e. */
const RANGE = [-12, 12] as const
const STEPS = 60

/**
 * The positive factor that makes softmax of the outputs most likely for the labels: probabilities that can be trusted, and the same
 * order of classes.
 * @param outputs  [labels.length, classes], for rows that had no part in making them
 */
export function outputScale(outputs: Float64Array, labels: Int32Array, classes: number): number {
  const loss = (power: number) => meanCrossEntropy(outputs, labels, classes, exp(power))
  // The loss is convex in the scale, so it falls and rises once: golden sections.
  const golden = (Math.sqrt(5) - 1) / 2
  let [low, high]: readonly [number, number] = RANGE
  let [a, b] = [high - golden * (high - low), low + golden * (high - low)]
  let [lossA, lossB] = [loss(a), loss(b)]
  for (let step = 0; step < STEPS; step++) {
    if (lossA <= lossB) {
      high = b
      ;[b, lossB] = [a, lossA]
      a = high - golden * (high - low)
      lossA = loss(a)
    } else {
      low = a
      ;[a, lossA] = [b, lossB]
      b = low + golden * (high - low)
      lossB = loss(b)
    }
  }
  return exp((low + high) / 2)
}

/** Mean over the rows of the cross-entropy of softmax(scale·outputs). */
export function meanCrossEntropy(outputs: Float64Array, labels: Int32Array, classes: number, scale = 1): number {
  let sum = 0
  for (const [row, label] of labels.entries()) {
    let largest = Number.NEGATIVE_INFINITY
    for (let c = 0; c < classes; c++) largest = Math.max(largest, outputs[row * classes + c] ?? Number.NaN)
    let total = 0
    for (let c = 0; c < classes; c++) total += exp(scale * ((outputs[row * classes + c] ?? 0) - largest))
    sum += log(total) - scale * ((outputs[row * classes + label] ?? Number.NaN) - largest)
  }
  return sum / labels.length
}
