// What training makes small: the options that say so, and what goes with which loss.
import { RegraftError } from '../errors.ts'
import type { Loss, LossName } from '../runtime/loss.ts'
import type { TrainOptions } from './options.ts'

/** Losses whose least value a solver finds: they are convex in the weights of a linear head, and smooth. */
const solvable: readonly LossName[] = ['ce', 'bce', 'mse']
/** Losses of probabilities, of which a share can go to the other classes. */
const smoothed: readonly LossName[] = ['ce', 'bce', 'focal']

/** The focal loss of its paper. @see Lin et al. 2017, https://arxiv.org/abs/1708.02002 */
export const defaultFocalGamma = 2

/** The loss that the options mean. */
export function chosenLoss({
  loss,
  focalGamma,
}: {
  readonly loss: LossName
  readonly focalGamma: number | null
}): Loss {
  switch (loss) {
    case 'hinge':
      return { kind: loss, margin: 1, power: 1 }
    case 'focal':
      return { kind: loss, gamma: focalGamma ?? defaultFocalGamma }
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

/** @throws RegraftError 'usage' for numbers that the loss has no use for */
export function checkLoss({
  loss = 'ce',
  smoothing,
  focalGamma,
}: Pick<TrainOptions, 'loss' | 'smoothing' | 'focalGamma'>): void {
  if ((focalGamma ?? null) !== null && loss !== 'focal')
    throw new RegraftError('usage', `--focal-gamma has a meaning only with --loss focal; this is --loss ${loss}.`)
  if (smoothing !== undefined && smoothing > 0 && !canSmooth(loss))
    throw new RegraftError(
      'usage',
      `--smoothing ${smoothing} has no meaning with --loss ${loss}, whose outputs are no probabilities of one class of many. Leave it out, or use --loss ${smoothed.join(', ')}.`,
    )
}
