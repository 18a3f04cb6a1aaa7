// What training makes small: the options that say so, and what goes with which loss.
import { RegraftError } from '../errors.ts'
import type { Loss, LossName } from '../runtime/loss.ts'
import type { TrainOptions } from './options.ts'

/** Losses whose least value a solver finds: they are convex in the weights of a linear head, and smooth. */
const solvable: readonly LossName[] = ['ce', 'bce', 'mse']
/** Losses of probabilities, of which a share can go to the other classes. */
const smoothed: readonly LossName[] = ['ce', 'bce', 'focal', 'sigmoid-focal']

/** The focal loss of its paper. @see Lin et al. 2017, https://arxiv.org/abs/1708.02002 */
export const defaultFocalGamma = 2

/** How much labels that are there count: torchvision's. */
export const defaultFocalAlpha = 0.25
/** PyTorch's delta of Huber's loss and beta of the smooth L1 loss. */
export const defaultHuberDelta = 1

/** What beside its name says which loss is meant; null where it was not said. */
export interface LossChoice {
  readonly loss: LossName
  readonly focalGamma: number | null
  readonly focalAlpha: number | null
  readonly huberDelta: number | null
}

/** The loss that the options mean. */
export function chosenLoss({ loss, focalGamma, focalAlpha, huberDelta }: LossChoice): Loss {
  switch (loss) {
    case 'hinge':
      return { kind: loss, margin: 1, power: 1 }
    case 'focal':
      return { kind: loss, gamma: focalGamma ?? defaultFocalGamma }
    case 'sigmoid-focal':
      return { kind: loss, gamma: focalGamma ?? defaultFocalGamma, alpha: focalAlpha ?? defaultFocalAlpha }
    case 'smooth-l1':
      return { kind: loss, beta: huberDelta ?? defaultHuberDelta }
    case 'huber':
      return { kind: loss, delta: huberDelta ?? defaultHuberDelta }
    default:
      return { kind: loss }
  }
}

/** Whether a linear head can be solved for a loss; it is trained by gradient else. */
export function isSolvable(loss: LossName): boolean {
  return solvable.includes(loss)
}

/** Whether a loss has a meaning with targets that are smoothed. */
export function canSmooth(loss: LossName): boolean {
  return smoothed.includes(loss)
}

/** Cross-entropies are smoothed unless the user says otherwise. */
export function usualSmoothing(loss: LossName, smoothing: number): number {
  return loss === 'ce' || loss === 'bce' ? smoothing : 0
}

/** Settings that belong to some losses alone. */
const belonging = [
  ['focalGamma', '--focal-gamma', ['focal', 'sigmoid-focal']],
  ['focalAlpha', '--focal-alpha', ['sigmoid-focal']],
  ['huberDelta', '--huber-delta', ['smooth-l1', 'huber']],
] as const satisfies readonly (readonly [keyof TrainOptions, string, readonly LossName[]])[]

/** @throws RegraftError 'usage' for numbers that the loss has no use for */
export function checkLoss(options: Pick<TrainOptions, 'loss' | 'smoothing' | (typeof belonging)[number][0]>): void {
  const { loss = 'ce', smoothing } = options
  for (const [name, flag, losses] of belonging) {
    if ((options[name] ?? null) === null || losses.some((each) => each === loss)) continue
    throw new RegraftError(
      'usage',
      `${flag} has a meaning only with --loss ${losses.join(' or ')}; this is --loss ${loss}.`,
    )
  }
  if (smoothing !== undefined && smoothing > 0 && !canSmooth(loss))
    throw new RegraftError(
      'usage',
      `--smoothing ${smoothing} has no meaning with --loss ${loss}, whose outputs are no probabilities of one class of many. Leave it out, or use --loss ${smoothed.join(', ')}.`,
    )
}
