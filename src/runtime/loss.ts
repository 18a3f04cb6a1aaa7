// What training makes small: which kernel gives a loss per picture and the gradient of the logits.
import { type Call, call } from '../kernels/program.ts'
import type { Place } from '../ops/op.ts'

export type Loss =
  /** Cross-entropy of softmax: one label of many. */
  | { readonly kind: 'ce' }
  /**
   * Cross-entropy of sigmoids, summed over outputs: several labels, or two classes. `positives` says how often the term of a label counts
   * that is there, [classes]: PyTorch's pos_weight.
   */
  | { readonly kind: 'bce'; readonly positives?: readonly number[] | undefined }
  /** (sigmoid - target)²/2, summed over outputs. */
  | { readonly kind: 'quadratic' }
  /** (output - target)², summed over outputs: the outputs are numbers. */
  | { readonly kind: 'mse' }
  /** |output - target|, summed over outputs. */
  | { readonly kind: 'l1' }
  /** As 'huber', divided by beta: PyTorch's SmoothL1Loss. */
  | { readonly kind: 'smooth-l1'; readonly beta: number }
  /** (output - target)²/2 up to a difference of delta, and a straight line beyond, summed over outputs. */
  | { readonly kind: 'huber'; readonly delta: number }
  /** Sum over the other classes of max(0, margin - x[label] + x[other])^power. */
  | { readonly kind: 'hinge'; readonly margin: number; readonly power: 1 | 2 }
  /** Cross-entropy of softmax times (1 - p)^gamma: pictures that are known well count less. */
  | { readonly kind: 'focal'; readonly gamma: number }
  /** The same of sigmoids, summed over outputs; labels that are there count alpha, the others 1 - alpha. */
  | { readonly kind: 'sigmoid-focal'; readonly gamma: number; readonly alpha: number }

export type LossName = Loss['kind']

export const lossNames = [
  'ce',
  'bce',
  'mse',
  'l1',
  'smooth-l1',
  'huber',
  'quadratic',
  'hinge',
  'focal',
  'sigmoid-focal',
] as const satisfies readonly LossName[]

/** What makes scores of outputs: probabilities that add up to 1, one for each output by itself, or the outputs as they are. */
export type OutputKind = 'softmax' | 'sigmoid' | 'identity'

/** How the outputs of a network that was trained with a loss are read. */
export function outputKindOf({ kind }: Loss): OutputKind {
  switch (kind) {
    case 'ce':
    case 'focal':
      return 'softmax'
    case 'bce':
    case 'quadratic':
    case 'sigmoid-focal':
      return 'sigmoid'
    case 'mse':
    case 'l1':
    case 'smooth-l1':
    case 'huber':
    case 'hinge':
      return 'identity'
  }
}

/** Where a loss finds what it reads and puts what it gives. */
export interface LossPlaces {
  /** [images, stride] */
  readonly logits: Place
  /** [images, stride], soft. */
  readonly targets: Place
  /** How much each picture counts, [images]. */
  readonly weights: Place
  /** [images] */
  readonly losses: Place
  /** [images, stride] */
  readonly dLogits: Place
  /** A place of numbers that never change, [stride]; missing ones are 0. */
  readonly constant: (values: readonly number[]) => Place
  readonly classes: number
  readonly stride: number
}

/** The call that computes losses and the gradient of the logits. */
export function lossCall(loss: Loss, places: LossPlaces): Call<Place> {
  const { logits, targets, weights, losses, dLogits, classes, stride } = places
  const shared: [Place, Place, Place, Place, Place, number, number] = [
    logits,
    targets,
    weights,
    losses,
    dLogits,
    classes,
    stride,
  ]
  const units = { perImage: 1 }
  switch (loss.kind) {
    case 'ce':
      return call('softmaxCrossEntropy', shared, units)
    case 'bce':
      if (!loss.positives) return call('binaryCrossEntropy', shared, units)
      return call(
        'positiveCrossEntropy',
        [logits, targets, weights, losses, dLogits, places.constant(loss.positives), classes, stride],
        units,
      )
    case 'quadratic':
      return call('quadraticCost', shared, units)
    case 'mse':
      return call('squaredError', shared, units)
    case 'l1':
      return call('absoluteError', shared, units)
    case 'smooth-l1':
      return call('huber', [...shared, loss.beta, 1 / loss.beta], units)
    case 'huber':
      return call('huber', [...shared, loss.delta, 1], units)
    case 'hinge':
      return call('multiclassHinge', [...shared, loss.margin, loss.power], units)
    case 'focal':
      return call('softmaxFocal', [...shared, loss.gamma], units)
    case 'sigmoid-focal':
      return call('sigmoidFocal', [...shared, loss.gamma, loss.alpha], units)
  }
}
