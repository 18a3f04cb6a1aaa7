// Metrics of one-of-many classification, in float64 and in a fixed order.
import { exp, log } from '../exact-math.ts'

export interface Metrics {
  /** Mean cross-entropy against the hard labels. */
  readonly loss: number
  /** Share of pictures whose largest output is their class, 0…1. */
  readonly accuracy: number
  readonly count: number
}

/** Index of the largest value; the first of equal ones; -1 when a value is not a number. */
export function argmax(values: Float32Array): number {
  let best = -1
  let largest = Number.NEGATIVE_INFINITY
  for (const [index, value] of values.entries()) {
    if (Number.isNaN(value)) return -1
    if (value > largest) {
      largest = value
      best = index
    }
  }
  return best
}

/** Probabilities of one row of logits. */
export function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = Float64Array.from(logits, (logit) => exp(logit - largest))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return powers.map((power) => power / total)
}

/** Cross-entropy of one row of logits against a class. */
export function crossEntropy(logits: Float32Array, label: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let total = 0
  for (const logit of logits) total += exp(logit - largest)
  return log(total) + largest - (logits[label] ?? Number.NaN)
}

/** How many rows of [count, classes] have their largest value at the label. */
export function countCorrect(logits: Float32Array, labels: Int32Array, classes: number): number {
  let correct = 0
  for (const [row, label] of labels.entries())
    if (argmax(logits.subarray(row * classes, (row + 1) * classes)) === label) correct++
  return correct
}

/** Loss and accuracy of logits [count, classes]. */
export function metricsOf(logits: Float32Array, labels: Int32Array, classes: number): Metrics {
  let loss = 0
  for (const [row, label] of labels.entries())
    loss += crossEntropy(logits.subarray(row * classes, (row + 1) * classes), label)
  const count = labels.length
  return { loss: loss / count, accuracy: countCorrect(logits, labels, classes) / count, count }
}
