// config.yaml of a run, read back: people may have edited it.
import { RegraftError } from '../errors.ts'
import { optimisers } from '../optim/optimisers.ts'
import { scheduleNames } from '../optim/schedule.ts'
import { lossNames } from '../runtime/loss.ts'
import { augmentNames, completeAugment } from './augment-option.ts'
import { normalisations } from './normalise.ts'
import { parseRates } from './rates.ts'
import { solvers } from './solver-names.ts'
import type { TrainConfig } from './train-defaults.ts'

/** Says what is allowed when a value is not. */
type Check = (value: unknown) => string | undefined

const text: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'a text')
const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false')
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.some((word) => word === value) ? undefined : `one of ${words.join(', ')}`
const between =
  (least: number, most = Number.POSITIVE_INFINITY): Check =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most
      ? undefined
      : `a number ${most === Number.POSITIVE_INFINITY ? `from ${least}` : `from ${least} to ${most}`}`
const share: Check = (value) =>
  typeof value === 'number' && value >= 0 && value < 1 ? undefined : 'a number from 0 to below 1'
const whole =
  (least: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && Number(value) >= least ? undefined : `a whole number from ${least}`
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? undefined : check(value)
/** As `parseRates` takes them. */
const rates: Check = (value) => {
  try {
    if (typeof value === 'number' || typeof value === 'string') parseRates(value)
    else return 'a rate'
  } catch {
    return 'a rate above 0, or two as in 1e-5:1e-3'
  }
  return undefined
}

/** As `completeAugment` takes it. */
const augment: Check = (value) => {
  try {
    if (typeof value === 'string' || Array.isArray(value)) completeAugment(value)
    else return `one of ${augmentNames.join(', ')} or a list`
  } catch (error) {
    return `valid (${error instanceof Error ? error.message : String(error)})`
  }
  return undefined
}

const fields: Readonly<Record<keyof TrainConfig, Check>> = {
  data: text,
  model: text,
  pretrained: flag,
  mode: oneOf('features', 'head', 'finetune'),
  unfreeze: text,
  freeze: orNull(text),
  bn: oneOf('frozen', 'train-unfrozen', 'train', 'adapt'),
  bnAffine: oneOf('train', 'frozen'),
  head: text,
  activation: orNull(text),
  init: orNull(text),
  strength: (value) =>
    value === 'auto' || between(0)(value) === undefined ? undefined : "a number above 0, or 'auto'",
  solver: orNull(oneOf(...solvers)),
  neighbours: orNull(whole(1)),
  pca: orNull(whole(1)),
  whiten: flag,
  epochs: whole(1),
  batchSize: whole(1),
  accum: whole(1),
  microBatch: orNull(whole(1)),
  opt: oneOf(...Object.keys(optimisers)),
  lr: rates,
  layerDecay: orNull(between(0, 1)),
  gradual: orNull(whole(1)),
  ema: orNull(between(0, 1)),
  momentum: between(0, 1),
  weightDecay: between(0),
  l2: between(0),
  l1: between(0),
  sched: oneOf(...scheduleNames),
  decayRate: orNull(between(0)),
  decayEpochs: orNull(between(0)),
  decayMilestones: orNull(text),
  warmupEpochs: between(0),
  warmupHead: orNull(whole(0)),
  loss: oneOf(...lossNames),
  focalGamma: orNull(between(0)),
  focalAlpha: orNull(between(0, 1)),
  huberDelta: orNull(between(Number.MIN_VALUE)),
  smoothing: between(0, 1),
  clipGrad: between(0),
  dropout: share,
  dropconnect: share,
  dropPath: share,
  classWeights: orNull(text),
  sampler: oneOf('all', 'balanced'),
  mixup: between(0),
  cutmix: between(0),
  reprob: between(0, 1),
  augment,
  cache: orNull(text),
  cacheSize: orNull(whole(0)),
  cacheVariants: orNull(whole(1)),
  val: orNull(text),
  trainList: orNull(text),
  groupBy: orNull(text),
  dedupe: flag,
  test: orNull(text),
  patience: whole(0),
  onNan: oneOf('stop', 'skip', 'lower-lr'),
  saveEvery: text,
  keepCheckpoints: whole(1),
  monitor: oneOf('off', 'light', 'full'),
  tensorboard: flag,
  seed: whole(0),
  onError: oneOf('skip', 'stop'),
  maxBad: between(0, 100),
  imgSize: orNull(whole(1)),
  cropPct: orNull(between(0)),
  interpolation: orNull(oneOf('bilinear', 'bicubic', 'lanczos', 'nearest')),
  cropMode: orNull(oneOf('center', 'squash', 'border')),
  resize: orNull(oneOf('exact', 'fast')),
  preprocess: orNull(oneOf('default', 'timm')),
  normalize: oneOf(...normalisations),
}

/** @throws RegraftError 'usage' naming the file and every field that is missing or wrong */
export function checkConfig(value: unknown, file: string): TrainConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RegraftError('usage', `${file} is not the configuration of a run.`, { file })
  const given = new Map(Object.entries(value))
  const problems = Object.entries(fields).flatMap(([name, check]) => {
    if (!given.has(name)) return [`'${name}' is missing`]
    const allowed = check(given.get(name))
    return allowed === undefined ? [] : [`'${name}' must be ${allowed}`]
  })
  if (problems.length > 0) {
    const more = problems.length > 5 ? ` and ${problems.length - 5} more` : ''
    throw new RegraftError('usage', `${file} cannot be gone on with: ${problems.slice(0, 5).join('; ')}${more}.`, {
      file,
    })
  }
  // Every field was checked above.
  const config = value as TrainConfig
  return { ...config, augment: completeAugment(config.augment) }
}
