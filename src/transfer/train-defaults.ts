// The defaults of `train`, in one place; `--help` prints them. They are the product: first tries are made with them.
import type { AugmentEntry } from '../data/augmentations/index.ts'
import { RegraftError } from '../errors.ts'
import type { LossName } from '../runtime/loss.ts'
import type { OnNan } from '../train/divergence.ts'
import { completeAugment } from './augment-option.ts'
import { parseHead } from './head-options.ts'
import { chosenInitialiser } from './initialiser-option.ts'
import { checkLoss, isSolvable, usualSmoothing } from './loss-options.ts'
import type { Monitoring, Sampler, TrainMode, TrainOptions } from './options.ts'
import { parseRates } from './rates.ts'
import { parseSaveEvery } from './save-every.ts'
import { checkSchedule } from './schedule-options.ts'
import { checkSolver, solverOf } from './solver.ts'
import type { Solver } from './solver-names.ts'

/** The options that decide the result, complete: what `config.yaml` of a run says. */
export interface TrainConfig {
  readonly data: string
  readonly model: string
  readonly pretrained: boolean
  readonly mode: TrainMode
  readonly unfreeze: string
  readonly freeze: string | null
  readonly bn: NonNullable<TrainOptions['bn']>
  readonly bnAffine: 'train' | 'frozen'
  readonly head: string
  /** Of its hidden layers; null: the usual one, or there are none. */
  readonly activation: string | null
  /** How what is fresh begins; null: as usual for its layers. */
  readonly init: string | null
  /** Of a head that is solved. */
  readonly strength: number | 'auto'
  /** How the head is found in mode features; null in other modes. */
  readonly solver: Solver | null
  /** How many vote with knn; null: chosen on the training pictures. */
  readonly neighbours: number | null
  readonly pca: number | null
  readonly whiten: boolean
  readonly epochs: number
  readonly batchSize: number
  readonly accum: number
  /** Pictures of a batch that are computed at a time; null: all of them. */
  readonly microBatch: number | null
  readonly opt: NonNullable<TrainOptions['opt']>
  /** Of all, or 'A:B' from the first layers that train to the head. */
  readonly lr: number | string
  readonly layerDecay: number | null
  readonly gradual: number | null
  readonly ema: number | null
  readonly momentum: number
  readonly weightDecay: number
  readonly l2: number
  readonly l1: number
  readonly sched: NonNullable<TrainOptions['sched']>
  readonly decayRate: number | null
  readonly decayEpochs: number | null
  readonly decayMilestones: string | null
  readonly warmupEpochs: number
  readonly warmupHead: number | null
  readonly loss: LossName
  /** Null where the loss is another one, or is as its paper has it. */
  readonly focalGamma: number | null
  readonly focalAlpha: number | null
  readonly huberDelta: number | null
  readonly smoothing: number
  readonly clipGrad: number
  readonly dropout: number
  readonly dropconnect: number
  readonly dropPath: number
  readonly classWeights: string | null
  readonly sampler: Sampler
  /** Complete, whatever it was asked by. */
  readonly augment: 'none' | readonly AugmentEntry[]
  readonly mixup: number
  readonly cutmix: number
  readonly reprob: number
  /** 'off', 'memory' or a folder; null: memory, as far as it goes. */
  readonly cache: string | null
  /** Bytes; null: the default of the kind. */
  readonly cacheSize: number | null
  /** How many versions of a picture an augmentation makes; null: one for each epoch. */
  readonly cacheVariants: number | null
  readonly val: string | null
  readonly trainList: string | null
  readonly groupBy: string | null
  readonly dedupe: boolean
  readonly test: string | null
  readonly patience: number
  readonly onNan: OnNan
  readonly saveEvery: string
  readonly keepCheckpoints: number
  readonly monitor: Monitoring
  readonly tensorboard: boolean
  readonly seed: number
  readonly onError: 'skip' | 'stop'
  readonly maxBad: number
  readonly imgSize: number | null
  readonly cropPct: number | null
  readonly interpolation: NonNullable<TrainOptions['interpolation']> | null
  readonly cropMode: NonNullable<TrainOptions['cropMode']> | null
  readonly resize: NonNullable<TrainOptions['resize']> | null
  readonly preprocess: NonNullable<TrainOptions['preprocess']> | null
  readonly normalize: NonNullable<TrainOptions['normalize']>
}

export const trainDefaults = {
  model: 'default',
  mode: 'head',
  unfreeze: 'last:3',
  bnAffine: 'train',
  head: 'linear',
  strength: 0.1,
  batchSize: 32,
  accum: 1,
  opt: 'adamw',
  momentum: 0.9,
  loss: 'ce',
  l2: 0,
  l1: 0,
  sched: 'cosine',
  dropout: 0,
  dropconnect: 0,
  dropPath: 0,
  mixup: 0,
  cutmix: 0,
  reprob: 0,
  sampler: 'all',
  normalize: 'model',
  patience: 10,
  onNan: 'stop',
  saveEvery: '5m',
  keepCheckpoints: 2,
  monitor: 'off',
  tensorboard: false,
  seed: 0,
  maxBad: 50,
  head_: { epochs: 30, lr: 1e-3, weightDecay: 0.05, warmupEpochs: 0, smoothing: 0.1, clipGrad: 0 },
  finetune: { epochs: 10, lr: 5e-4, weightDecay: 0.01, warmupEpochs: 1, smoothing: 0.1, clipGrad: 5 },
  scratch: { epochs: 30, lr: 3e-3, weightDecay: 0.01, warmupEpochs: 1, smoothing: 0.1, clipGrad: 5 },
} as const

/** How much a cache may keep when nobody said. */
export const cacheDefaults = { memoryBytes: 2 ** 30, folderBytes: 10 * 2 ** 30 } as const

/** Fills in what was left open. @throws RegraftError 'usage' for options that contradict each other */
export function completeConfig(options: TrainOptions): TrainConfig {
  const mode = options.mode ?? trainDefaults.mode
  const pretrained = options.pretrained ?? true
  if (!pretrained && mode !== 'finetune') {
    throw new RegraftError(
      'usage',
      `--no-pretrained leaves nothing for --mode ${mode} to build on. Use --mode finetune --unfreeze all.`,
    )
  }
  refuseWithoutEffect(options, mode)
  checkSchedule(options)
  checkLoss(options)
  const head = parseHead(options.head ?? trainDefaults.head, options.activation ?? null)
  const init = options.init ?? null
  chosenInitialiser({ init })
  const solvedFirst = head.kind === 'linear' && isSolvable(options.loss ?? trainDefaults.loss)
  if (init !== null && mode === 'finetune' && pretrained && solvedFirst && (options.warmupHead ?? null) === null)
    throw new RegraftError(
      'usage',
      `--init ${init} would change nothing: nothing is fresh but the head, and it is solved before the rest trains. Train it by gradient first (--warmup-head 3), or begin with random weights (--no-pretrained).`,
    )
  if (options.saveEvery !== undefined) parseSaveEvery(options.saveEvery)
  const rates = parseRates(options.lr ?? 1)
  if (rates.first !== undefined && mode !== 'finetune')
    throw new RegraftError('usage', `--lr ${options.lr}: a head has only one rate. Give one, or use --mode finetune.`)
  if (rates.first !== undefined && options.layerDecay !== undefined)
    throw new RegraftError(
      'usage',
      `--lr ${options.lr} and --layer-decay both say how the rate falls from block to block. Give one of them.`,
    )
  const solver = mode === 'features' ? solverOf(options) : null
  const phase =
    mode === 'finetune' ? (pretrained ? trainDefaults.finetune : trainDefaults.scratch) : trainDefaults.head_
  return {
    data: options.data,
    model: options.model ?? trainDefaults.model,
    pretrained,
    mode,
    unfreeze: options.unfreeze ?? (mode !== 'finetune' ? 'head' : pretrained ? trainDefaults.unfreeze : 'all'),
    freeze: options.freeze ?? null,
    bn: options.bn ?? (pretrained ? 'frozen' : 'train'),
    bnAffine: options.bnAffine ?? trainDefaults.bnAffine,
    head: options.head ?? trainDefaults.head,
    activation: options.activation ?? null,
    init: options.init ?? null,
    strength: options.strength ?? (solver === 'ridge' ? 'auto' : trainDefaults.strength),
    solver,
    neighbours: options.neighbours ?? null,
    pca: options.pca ?? null,
    whiten: options.whiten ?? false,
    epochs: options.epochs ?? phase.epochs,
    batchSize: options.batchSize ?? trainDefaults.batchSize,
    accum: options.accum ?? trainDefaults.accum,
    microBatch: options.microBatch ?? null,
    opt: options.opt ?? trainDefaults.opt,
    // Adadelta finds the size of its steps itself; its rate scales them.
    lr: options.lr ?? (options.opt === 'adadelta' ? 1 : phase.lr),
    layerDecay: options.layerDecay ?? null,
    gradual: options.gradual ?? null,
    ema: options.ema ?? null,
    momentum: options.momentum ?? (options.opt === 'rmsprop' ? 0 : trainDefaults.momentum),
    weightDecay: options.weightDecay ?? phase.weightDecay,
    l2: options.l2 ?? trainDefaults.l2,
    l1: options.l1 ?? trainDefaults.l1,
    sched: options.sched ?? trainDefaults.sched,
    decayRate: options.decayRate ?? null,
    decayEpochs: options.decayEpochs ?? null,
    decayMilestones: options.decayMilestones ?? null,
    warmupEpochs: options.warmupEpochs ?? phase.warmupEpochs,
    warmupHead: options.warmupHead ?? null,
    loss: options.loss ?? trainDefaults.loss,
    focalGamma: options.focalGamma ?? null,
    focalAlpha: options.focalAlpha ?? null,
    huberDelta: options.huberDelta ?? null,
    smoothing: options.smoothing ?? usualSmoothing(options.loss ?? trainDefaults.loss, phase.smoothing),
    clipGrad: options.clipGrad ?? phase.clipGrad,
    dropout: options.dropout ?? trainDefaults.dropout,
    dropconnect: options.dropconnect ?? trainDefaults.dropconnect,
    dropPath: options.dropPath ?? trainDefaults.dropPath,
    classWeights: options.classWeights ?? null,
    sampler: options.sampler ?? trainDefaults.sampler,
    augment: completeAugment(options.augment ?? (mode === 'finetune' ? 'light' : 'none')),
    mixup: options.mixup ?? trainDefaults.mixup,
    cutmix: options.cutmix ?? trainDefaults.cutmix,
    reprob: options.reprob ?? trainDefaults.reprob,
    cache: options.cache ?? null,
    cacheSize: options.cacheSize ?? null,
    cacheVariants: options.cacheVariants ?? null,
    val: options.val ?? null,
    trainList: options.trainList ?? null,
    groupBy: options.groupBy ?? null,
    dedupe: options.dedupe ?? false,
    test: options.test ?? null,
    patience: options.patience ?? trainDefaults.patience,
    onNan: options.onNan ?? trainDefaults.onNan,
    saveEvery: options.saveEvery ?? trainDefaults.saveEvery,
    keepCheckpoints: options.keepCheckpoints ?? trainDefaults.keepCheckpoints,
    monitor: options.monitor ?? trainDefaults.monitor,
    tensorboard: options.tensorboard ?? trainDefaults.tensorboard,
    seed: options.seed ?? trainDefaults.seed,
    onError: options.onError ?? 'skip',
    maxBad: options.maxBad ?? trainDefaults.maxBad,
    imgSize: options.imgSize ?? null,
    cropPct: options.cropPct ?? null,
    interpolation: options.interpolation ?? null,
    cropMode: options.cropMode ?? null,
    resize: options.resize ?? null,
    preprocess: options.preprocess ?? null,
    normalize: options.normalize ?? trainDefaults.normalize,
  }
}

/**
 * An option that would change nothing is a misunderstanding, and silence would keep it one. Values as a run's own config.yaml has
 * them pass.
 * @throws RegraftError 'usage'
 */
export function refuseWithoutEffect(options: TrainOptions, mode: TrainMode): void {
  const { head = trainDefaults.head, loss = trainDefaults.loss } = options
  const only = (flag: string, value: unknown, neutral: unknown, wanted: string) => {
    if (value !== undefined && value !== neutral) {
      throw new RegraftError(
        'usage',
        `${flag} has a meaning only with ${wanted}; this is --mode ${mode}${mode === 'features' ? ` --head ${head}` : ''}${loss === 'ce' ? '' : ` --loss ${loss}`}.`,
      )
    }
  }
  if (mode !== 'finetune') {
    only('--unfreeze', options.unfreeze, 'head', '--mode finetune')
    only('--freeze', options.freeze, null, '--mode finetune')
    only('--bn', options.bn, 'frozen', '--mode finetune')
    only('--bn-affine', options.bnAffine, trainDefaults.bnAffine, '--mode finetune')
    only('--layer-decay', options.layerDecay, null, '--mode finetune')
    only('--gradual', options.gradual, null, '--mode finetune')
    only('--drop-path', options.dropPath, trainDefaults.dropPath, '--mode finetune')
    const whole = '--mode finetune: here pictures pass the network once, each by itself'
    only('--mixup', options.mixup, trainDefaults.mixup, whole)
    only('--cutmix', options.cutmix, trainDefaults.cutmix, whole)
    only(
      '--reprob',
      options.reprob,
      trainDefaults.reprob,
      '--mode finetune, where pictures are seen in each epoch anew',
    )
    only('--warmup-head', options.warmupHead, null, '--mode finetune')
    only('--cache', options.cache, null, '--mode finetune')
    only('--cache-size', options.cacheSize, null, '--mode finetune')
    only('--cache-variants', options.cacheVariants, null, '--mode finetune')
    if (options.augment !== undefined && options.augment !== 'none') {
      throw new RegraftError(
        'usage',
        `--augment has no effect in --mode ${mode}, where each picture passes the network once. Use --mode finetune.`,
      )
    }
  }
  if (options.augment === 'none' && !options.reprob)
    only('--cache-variants', options.cacheVariants, null, '--augment or --reprob')
  if (options.cache === 'off') only('--cache-size', options.cacheSize, null, '--cache')
  checkSolver(options, mode)
  const solved = mode === 'features' && solverOf(options) !== 'gradient'
  if (solved) {
    const { epochs, lr, weightDecay, warmupEpochs, smoothing, clipGrad } = trainDefaults.head_
    const gradient = '--mode head or finetune, or --solver gradient'
    only('--epochs', options.epochs, epochs, gradient)
    only('--lr', options.lr, lr, gradient)
    only('--opt', options.opt, trainDefaults.opt, gradient)
    only('--momentum', options.momentum, trainDefaults.momentum, gradient)
    only('--ema', options.ema, null, gradient)
    only('--sched', options.sched, trainDefaults.sched, gradient)
    only('--l2', options.l2, trainDefaults.l2, gradient)
    only('--l1', options.l1, trainDefaults.l1, gradient)
    only('--weight-decay', options.weightDecay, weightDecay, gradient)
    only('--warmup-epochs', options.warmupEpochs, warmupEpochs, gradient)
    only('--smoothing', options.smoothing, usualSmoothing(loss, smoothing), gradient)
    only('--clip-grad', options.clipGrad, clipGrad, gradient)
    only('--dropout', options.dropout, trainDefaults.dropout, gradient)
    only('--dropconnect', options.dropconnect, trainDefaults.dropconnect, gradient)
    only('--sampler', options.sampler, trainDefaults.sampler, gradient)
    only('--batch-size', options.batchSize, trainDefaults.batchSize, gradient)
    only('--accum', options.accum, trainDefaults.accum, gradient)
    only('--micro-batch', options.microBatch, null, gradient)
    only('--patience', options.patience, trainDefaults.patience, gradient)
    only('--init', options.init, null, gradient)
    only('--on-nan', options.onNan, trainDefaults.onNan, gradient)
    only('--save-every', options.saveEvery, trainDefaults.saveEvery, gradient)
    only('--keep-checkpoints', options.keepCheckpoints, trainDefaults.keepCheckpoints, gradient)
    only('--monitor', options.monitor, trainDefaults.monitor, gradient)
    only('--tensorboard', options.tensorboard, trainDefaults.tensorboard, gradient)
    only('--time', options.time, undefined, gradient)
  } else if (mode === 'head') {
    only('--strength', options.strength, trainDefaults.strength, '--mode features or --mode finetune')
  }
  if (mode === 'finetune' && options.strength === 'auto')
    throw new RegraftError('usage', '--strength auto has a meaning only with --mode features. Give a number.')
}

/** Whether the head is solved in one go, and nothing else trains. */
export function isSolved({ solver }: Pick<TrainConfig, 'solver'>): boolean {
  return solver !== null && solver !== 'gradient'
}
