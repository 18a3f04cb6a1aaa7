// What training makes small: which kernel gives a loss per picture and the gradient of the logits.
import { type Call, call } from '../kernels/program.ts'
import type { Place } from '../ops/op.ts'

export type Loss =
  /** Cross-entropy of softmax: one label of many. */
  | { readonly kind: 'ce' }
  /** Cross-entropy of sigmoids, summed over outputs: several labels, or two classes. */
  | { readonly kind: 'bce' }
  /** (sigmoid - target)²/2, summed over outputs. */
  | { readonly kind: 'quadratic' }
  /** (output - target)², summed over outputs: the outputs are numbers. */
  | { readonly kind: 'mse' }
  /** Sum over the other classes of max(0, margin - x[label] + x[other])^power. */
  | { readonly kind: 'hinge'; readonly margin: number; readonly power: 1 | 2 }
  /** Cross-entropy of softmax times (1 - p)^gamma: pictures that are known well count less. */
  | { readonly kind: 'focal'; readonly gamma: number }

export type LossName = Loss['kind']

export const lossNames = ['ce', 'bce', 'mse', 'quadratic', 'hinge', 'focal'] as const satisfies readonly LossName[]

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
      return 'sigmoid'
    case 'mse':
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
      return call('binaryCrossEntropy', shared, units)
    case 'quadratic':
      return call('quadraticCost', shared, units)
    case 'mse':
      return call('squaredError', shared, units)
    case 'hinge':
      return call('multiclassHinge', [...shared, loss.margin, loss.power], units)
    case 'focal':
      return call('softmaxFocal', [...shared, loss.gamma], units)
  }
}
