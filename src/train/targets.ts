// What a batch should have given, as the loss kernels want it: soft targets, and how much each picture counts.
import type { Loss } from '../runtime/loss.ts'

export interface Targets {
  /** [count, classes] */
  readonly values: Float32Array
  /** [count] */
  readonly weights: Float32Array
}

export interface TargetOptions {
  readonly loss: Loss
  readonly classes: number
  /** Share of each target that is spread evenly over all classes (Szegedy et al. 2016). */
  readonly smoothing: number
  /** How much the pictures of each class count, 1 on average over the training pictures; all alike when left out. */
  readonly classWeights?: readonly number[] | undefined
  /** Pictures of the step, of which the batch may be a part: the losses of all of them add up to their mean. */
  readonly pictures: number
}

/** Targets of hard labels. */
export function targetsOfLabels(labels: Int32Array, options: TargetOptions): Targets {
  const { classes } = options
  const shares = new Float32Array(labels.length * classes)
  for (const [row, label] of labels.entries()) shares[row * classes + label] = 1
  return targetsOfShares(shares, options)
}

/**
 * Targets of pictures that may belong to several classes.
 * @param shares  [count, classes], each row adds up to 1
 */
export function targetsOfShares(shares: Float32Array, options: TargetOptions): Targets {
  const { loss, classes, smoothing, classWeights, pictures } = options
  const count = shares.length / classes
  const values = shares.map((share) => share * (1 - smoothing) + smoothing / classes)
  const weights = new Float32Array(count)
  for (let row = 0; row < count; row++) {
    const own = shares.subarray(row * classes, (row + 1) * classes)
    weights[row] = (lossShare(loss, classes) * weightOf(loss, own, classWeights)) / pictures
  }
  // In cross-entropy each term has the weight of its class, as in PyTorch: with smoothing that is more than one.
  if (loss.kind === 'ce' && classWeights) {
    for (const [at, value] of values.entries()) values[at] = value * (classWeights[at % classes] ?? Number.NaN)
  }
  return { values, weights }
}

/** Of these PyTorch takes the mean over outputs. */
const means: readonly Loss['kind'][] = ['mse', 'l1', 'smooth-l1', 'huber', 'hinge']

/** Share of the sum over outputs that a picture costs. */
export function lossShare({ kind }: Loss, classes: number): number {
  return means.includes(kind) ? 1 / classes : 1
}

function weightOf(loss: Loss, shares: Float32Array, classWeights: readonly number[] | undefined): number {
  if (!classWeights || loss.kind === 'ce') return 1
  return shares.reduce((sum, share, label) => sum + share * (classWeights[label] ?? Number.NaN), 0)
}

/**
 * Weights that make every class count alike: inversely to its number of pictures, 1 on average over the pictures.
 * @param counts  training pictures of each class, none of them 0
 */
export function balancedWeights(counts: readonly number[]): readonly number[] {
  const pictures = counts.reduce((sum, count) => sum + count, 0)
  return counts.map((count) => pictures / (counts.length * count))
}
