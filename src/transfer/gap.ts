// The distance between what a network can do on pictures it has learnt from and on others, and what to do about it.
import type { EpochRecord } from '../train/events.ts'
import { canSmooth } from './loss-options.ts'
import type { Gap } from './options.ts'
import { mixesPictures } from './regularisers.ts'
import { isSolved, type TrainConfig } from './train-defaults.ts'

/** A difference of less tells nothing that matters. */
const LEAST_GAP = 0.05
/** Above, there is little left to learn. */
const GOOD_ENOUGH = 0.95

/** @param images  pictures of both parts: few of them make accuracies differ by chance */
export function gapOf(
  record: EpochRecord,
  images: { readonly train: number; readonly val: number },
  config: TrainConfig,
): Gap {
  const { trainAccuracy, validationAccuracy, trainLoss, validationLoss } = record
  const variance = (accuracy: number, count: number) => (accuracy * (1 - accuracy)) / count
  const chance = 2 * Math.sqrt(variance(trainAccuracy, images.train) + variance(validationAccuracy, images.val))
  const accuracy = trainAccuracy - validationAccuracy
  const meaning =
    accuracy > Math.max(LEAST_GAP, chance)
      ? 'overfitting'
      : Math.max(trainAccuracy, validationAccuracy) < GOOD_ENOUGH
        ? 'underfitting'
        : 'fitting'
  const harder = mixesPictures(config) ? ' on mixed pictures' : ''
  const figures = `training ${percent(trainAccuracy)}${harder}, validation ${percent(validationAccuracy)}`
  const advice = {
    overfitting: `A gap (${figures}): it knows the training pictures better than others. More regularisation may help: ${regularisation(config)}.`,
    underfitting: `No gap (${figures}): it has not even learnt all of the training pictures, so it can take more. ${more(config)} may help.`,
    fitting:
      accuracy > LEAST_GAP
        ? `A gap that may be chance (${figures}): there are too few pictures to tell, ${images.val} to validate. More of them would.`
        : `No gap worth mentioning (${figures}).`,
  }[meaning]
  return { epoch: record.epoch, accuracy, loss: validationLoss - trainLoss, meaning, advice }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

function regularisation(config: TrainConfig): string {
  const { mode, augment, weightDecay, smoothing, solver, strength, unfreeze } = config
  const solved = isSolved(config)
  const ways = ['more training pictures']
  if (mode === 'finetune' && augment === 'none') ways.push('--augment light')
  if (mode === 'finetune' && unfreeze !== 'head') ways.push('fewer layers in --unfreeze')
  if (typeof strength === 'number' && (solver === 'lbfgs' || solver === 'ridge'))
    ways.push(`--strength ${rounded(strength / 10)}`)
  if (!solved) ways.push(`--weight-decay ${rounded(weightDecay > 0 ? 3 * weightDecay : 0.01)}`)
  if (!solved && smoothing === 0 && canSmooth(config.loss)) ways.push('--smoothing 0.1')
  return ways.join(', ')
}

function more({ mode, unfreeze }: TrainConfig): string {
  if (mode !== 'finetune') return 'A larger model, or --mode finetune,'
  return unfreeze === 'all' ? 'A larger model or more epochs' : 'A larger model, or more layers in --unfreeze,'
}

function rounded(value: number): number {
  return Number(value.toPrecision(2))
}
