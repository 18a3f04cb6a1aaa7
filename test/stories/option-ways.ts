// The options that decide bits, each in a training of its own: what exact resumes are shown with.
import type { TrainOptions } from '../../src/transfer/options.ts'

export type Way = Partial<TrainOptions>

const fineTune: Way = { mode: 'finetune', unfreeze: 'last:1', patience: 0, augment: 'none' }
const variants: Way = { augment: 'light', cacheVariants: 2 }

const options: readonly (readonly [string, Way])[] = [
  ['augmentation', { augment: 'strong' }],
  ['accumulation', { batchSize: 4, accum: 2, microBatch: 3 }],
  ['an average of the weights', { ema: 0.9 }],
  ['plateau', { sched: 'plateau', warmupEpochs: 0 }],
  ['a balanced sampler', { sampler: 'balanced', classWeights: 'auto' }],
  ['clipping', { clipGrad: 0.05 }],
  ['dropout', { dropout: 0.4, batchSize: 4, accum: 2, microBatch: 3 }],
  ['DropConnect', { dropconnect: 0.4, batchSize: 4, accum: 2, microBatch: 3 }],
  ['a hinge loss', { loss: 'hinge', classWeights: 'auto' }],
  ['random erasing', { reprob: 0.6, cacheVariants: 2 }],
  ['mixup', { mixup: 0.4 }],
  ['cutmix', { cutmix: 1, batchSize: 4, accum: 2, microBatch: 3 }],
  ['the cache on', { ...variants, cache: 'memory' }],
  ['the cache off', { ...variants, cache: 'off' }],
]

/** Each option with SGD and with Adam. */
export const optionWays: readonly (readonly [string, Way])[] = options.flatMap(([name, option]) =>
  (['sgd', 'adam'] as const).map(
    (opt) => [`${opt} and ${name}`, { ...fineTune, batchSize: 8, ...option, opt }] as const,
  ),
)
