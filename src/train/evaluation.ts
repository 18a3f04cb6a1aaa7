// What there is to know about a classifier's outputs on labelled pictures.
import { type Loss, outputKindOf } from '../runtime/loss.ts'
import { type Calibration, calibrationOf } from './calibration.ts'
import { argmax, type LabelledOutputs, type Metrics, metricsOf, outputScores, topCount } from './classification.ts'
import { labelLoss } from './label-loss.ts'
import { type Interval, wilson } from './wilson.ts'

/** Shares are 0…1, intervals hold 95 %; null where there is nothing to divide by. */
export interface ClassScores {
  readonly name: string
  /** Pictures of the class. */
  readonly images: number
  /** Pictures that were taken for it. */
  readonly predicted: number
  /** Share of its pictures that are right: the recall by its plain name. */
  readonly accuracy: number | null
  readonly precision: number | null
  readonly precisionInterval: Interval | null
  readonly recall: number | null
  readonly recallInterval: Interval | null
  readonly f1: number | null
  readonly f1Interval: Interval | null
}

/** Two classes that are taken for each other. */
export interface Confusion {
  readonly truth: string
  readonly predicted: string
  readonly images: number
  /** Of the pictures of the true class. */
  readonly share: number
}

export interface Mistake {
  readonly path: string
  readonly truth: string
  readonly predicted: string
  /** Score of the predicted class, and of the true one. */
  readonly score: number
  readonly truthScore: number
  readonly loss: number
}

export interface Evaluation extends Omit<Metrics, 'count'> {
  readonly images: number
  readonly accuracyInterval: Interval | null
  /** How many of the largest outputs `topAccuracy` looks at. */
  readonly topCount: number
  readonly classes: readonly ClassScores[]
  /** Rows: true class; columns: predicted class. A picture whose outputs are not numbers is in no column. */
  readonly confusion: readonly (readonly number[])[]
  /** The most frequent first. */
  readonly confused: readonly Confusion[]
  /** The wrong ones with the highest loss, the worst first. */
  readonly mistakes: readonly Mistake[]
  /** Null where the scores are no probabilities. */
  readonly calibration: Calibration | null
}

const MOST_CONFUSED = 20
const MOST_MISTAKES = 24

/**
 * @param names  of the classes, in the order of the outputs
 * @param loss   with which the outputs came about
 */
export async function evaluationOf(
  outputs: LabelledOutputs,
  names: readonly string[],
  loss: Loss = { kind: 'ce' },
): Promise<Evaluation> {
  const { logits, labels } = outputs
  const { count, ...metrics } = metricsOf(logits, labels, names.length, loss)
  const kind = outputKindOf(loss)
  const confusion = names.map(() => new Array<number>(names.length).fill(0))
  for (const [row, label] of labels.entries()) {
    const counts = confusion[label]
    const guess = argmax(logits.subarray(row * names.length, (row + 1) * names.length))
    if (counts && guess >= 0) counts[guess] = (counts[guess] ?? 0) + 1
  }
  return {
    ...metrics,
    images: count,
    accuracyInterval: wilson(Math.round(metrics.accuracy * count), count),
    topCount: topCount(names.length),
    classes: scoresOf(confusion, labels, names),
    confusion,
    confused: confusedOf(confusion, labels, names),
    mistakes: mistakesOf(outputs, names, loss),
    calibration: kind === 'identity' ? null : await calibrationOf(outputs, names.length, kind),
  }
}

function scoresOf(
  confusion: readonly (readonly number[])[],
  labels: Int32Array,
  names: readonly string[],
): readonly ClassScores[] {
  const supports = supportsOf(labels, names.length)
  return names.map((name, label) => {
    const images = supports[label] ?? 0
    const predicted = confusion.reduce((sum, row) => sum + (row[label] ?? 0), 0)
    const hits = confusion[label]?.[label] ?? 0
    const union = images + predicted - hits
    // F1 = 2J/(1 + J) rises with J, the share of hits among all that is of the class or taken for it; J is a proportion.
    const jaccard = wilson(hits, union)
    const f1 = (share: number) => (2 * share) / (1 + share)
    return {
      name,
      images,
      predicted,
      accuracy: images > 0 ? hits / images : null,
      precision: predicted > 0 ? hits / predicted : null,
      precisionInterval: wilson(hits, predicted),
      recall: images > 0 ? hits / images : null,
      recallInterval: wilson(hits, images),
      f1: union > 0 ? (2 * hits) / (images + predicted) : null,
      f1Interval: jaccard && [f1(jaccard[0]), f1(jaccard[1])],
    }
  })
}

function supportsOf(labels: Int32Array, classes: number): Float64Array {
  const supports = new Float64Array(classes)
  for (const label of labels) supports[label] = (supports[label] ?? 0) + 1
  return supports
}

function confusedOf(
  confusion: readonly (readonly number[])[],
  labels: Int32Array,
  names: readonly string[],
): readonly Confusion[] {
  const supports = supportsOf(labels, names.length)
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((images, predicted) => (images > 0 && truth !== predicted ? [{ truth, predicted, images }] : [])),
  )
  pairs.sort((a, b) => b.images - a.images || a.truth - b.truth || a.predicted - b.predicted)
  return pairs.slice(0, MOST_CONFUSED).map(({ truth, predicted, images }) => ({
    truth: names[truth] ?? '',
    predicted: names[predicted] ?? '',
    images,
    share: images / (supports[truth] ?? Number.NaN),
  }))
}

function mistakesOf(
  { logits, labels, paths }: LabelledOutputs,
  names: readonly string[],
  kind: Loss,
): readonly Mistake[] {
  const rowOf = (row: number) => logits.subarray(row * names.length, (row + 1) * names.length)
  const wrong = Array.from(labels, (label, row) => ({ row, label, guess: argmax(rowOf(row)) }))
    .filter(({ label, guess }) => guess >= 0 && guess !== label)
    .map((mistake) => ({ ...mistake, loss: labelLoss(kind, rowOf(mistake.row), mistake.label) }))
  wrong.sort((a, b) => b.loss - a.loss || a.row - b.row)
  return wrong.slice(0, MOST_MISTAKES).map(({ row, label, guess, loss }) => {
    const scores = outputScores(rowOf(row), outputKindOf(kind))
    return {
      path: paths[row] ?? '',
      truth: names[label] ?? '',
      predicted: names[guess] ?? '',
      score: scores[guess] ?? Number.NaN,
      truthScore: scores[label] ?? Number.NaN,
      loss,
    }
  })
}
