// Metrics of one-of-many classification, in float64 and in a fixed order.
import { exp } from '../exact-math.ts'
import type { Loss, OutputKind } from '../runtime/loss.ts'
import type { EpochRecord } from './events.ts'
import { labelLoss, sigmoid } from './label-loss.ts'
import type { Targets } from './target-values.ts'

export interface Metrics {
  /** Mean of the loss against the hard labels, without smoothing or weights. */
  readonly loss: number
  /** Share of pictures whose largest output is their class, 0…1. */
  readonly accuracy: number
  /** Share of pictures whose class is among the largest outputs, as many as `topCount` says. */
  readonly topAccuracy: number
  /** Mean of the classes' accuracies: each class counts alike. */
  readonly balancedAccuracy: number
  /** Mean of the classes' F1. */
  readonly macroF1: number
  readonly count: number
}

/** Outputs of a network beside what they should have been. */
export interface LabelledOutputs {
  /** [labels.length, classes] */
  readonly logits: Float32Array
  readonly labels: Int32Array
  /** Pictures that they are of. */
  readonly paths: readonly string[]
  /** Where the truth is not one class of many; the labels say nothing then. */
  readonly targets?: Targets
}

/** How many of the largest outputs the top-k accuracy looks at: 5, or 2 where that would be nearly all classes. */
export function topCount(classes: number): number {
  return classes > 5 ? 5 : Math.min(2, classes)
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

/** Scores of one row of outputs. */
export function outputScores(outputs: Float32Array, kind: OutputKind): Float64Array {
  switch (kind) {
    case 'softmax':
      return softmax(outputs)
    case 'sigmoid':
      return Float64Array.from(outputs, sigmoid)
    case 'identity':
      return Float64Array.from(outputs)
  }
}

/** How many rows of [count, classes] have their largest value at the label. */
export function countCorrect(logits: Float32Array, labels: Int32Array, classes: number): number {
  let correct = 0
  for (const [row, label] of labels.entries())
    if (argmax(logits.subarray(row * classes, (row + 1) * classes)) === label) correct++
  return correct
}

/** Whether the label's output is among the `most` largest; of equal ones the first counts as larger. */
function isAmongLargest(logits: Float32Array, label: number, most: number): boolean {
  const own = logits[label] ?? Number.NaN
  let before = 0
  for (const [index, value] of logits.entries()) {
    if (Number.isNaN(value)) return false
    if (value > own || (value === own && index < label)) before++
  }
  return before < most
}

/** Metrics of logits [count, classes]. Classes without a picture count in none of the means over classes. */
export function metricsOf(
  logits: Float32Array,
  labels: Int32Array,
  classes: number,
  kind: Loss = { kind: 'ce' },
): Metrics {
  const most = topCount(classes)
  const images = new Float64Array(classes)
  const predicted = new Float64Array(classes)
  const right = new Float64Array(classes)
  const add = (counts: Float64Array, label: number) => {
    counts[label] = (counts[label] ?? 0) + 1
  }
  let loss = 0
  let amongLargest = 0
  for (const [row, label] of labels.entries()) {
    const own = logits.subarray(row * classes, (row + 1) * classes)
    loss += labelLoss(kind, own, label)
    if (isAmongLargest(own, label, most)) amongLargest++
    const guess = argmax(own)
    add(images, label)
    if (guess >= 0) add(predicted, guess)
    if (guess === label) add(right, label)
  }
  const count = labels.length
  const accuracies: number[] = []
  const f1s: number[] = []
  for (const [label, of] of images.entries()) {
    const hits = right[label] ?? 0
    if (of > 0) accuracies.push(hits / of)
    const seen = of + (predicted[label] ?? 0)
    if (seen > 0) f1s.push((2 * hits) / seen)
  }
  return {
    loss: loss / count,
    accuracy: right.reduce((sum, hits) => sum + hits, 0) / count,
    topAccuracy: amongLargest / count,
    balancedAccuracy: mean(accuracies),
    macroF1: mean(f1s),
    count,
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** What an epoch's record says of its validation. */
export function validationRecord(metrics: Metrics): Pick<EpochRecord, `validation${string}` & keyof EpochRecord> {
  return {
    validationLoss: metrics.loss,
    validationAccuracy: metrics.accuracy,
    validationTopAccuracy: metrics.topAccuracy,
    validationBalancedAccuracy: metrics.balancedAccuracy,
    validationMacroF1: metrics.macroF1,
  }
}
