// What the ways of training share: the work at hand and what comes out of it.
import * as path from 'node:path'
import type { KeptImages } from '../data/decode.ts'
import { epochOrder } from '../data/epoch-order.ts'
import type { BadImage } from '../data/loader.ts'
import type { DataSplit } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import type { JsonObject } from '../files/strict-json.ts'
import type { Head, Model } from '../model/model.ts'
import type { Backbone } from '../model/saved-model.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { balancedOrder } from '../train/balanced-order.ts'
import type { Checkpointed } from '../train/checkpoint.ts'
import type { LabelledOutputs } from '../train/classification.ts'
import type { EpochRecord } from '../train/events.ts'
import type { TimeBudget } from '../train/time-budget.ts'
import type { DataRecord } from './data-record.ts'
import type { Timing } from './extract-features.ts'
import type { TrainOptions } from './options.ts'
import type { RunManifest } from './run-folder.ts'
import type { TrainConfig } from './train-defaults.ts'
import type { Trained, Trainee } from './trainee.ts'

/** What the ways of training share. */
export interface Work {
  readonly options: TrainOptions
  readonly config: TrainConfig
  readonly manifest: RunManifest
  readonly record: DataRecord
  readonly out: string
  readonly data: DataSplit
  /** With the new classes; the head's weights come from training. */
  readonly model: Model
  /** By which the losses of the classes count; all alike when absent. */
  readonly classWeights: readonly number[] | undefined
  /** How often the loss of a label counts that is there, where pictures may have several; all once when absent. */
  readonly positives?: readonly number[] | undefined
  readonly timing: Timing
  /** Encoded pictures, read once for all epochs. */
  readonly kept: KeptImages
  readonly bad: BadImage[]
  /** SHA-256 of the pictures' contents by path. */
  readonly digests: ReadonlyMap<string, string>
  /** Writes down what happened so far; see `EventLog`. */
  readonly flushEvents: () => Promise<void>
  /** What checkpoints say of where they come from. */
  readonly origin: JsonObject
  readonly budget: TimeBudget
  /** State to go on from. */
  readonly resumed: Checkpointed | undefined
  /** The network, where it cannot be had: nothing of the model but its head and how its pictures are made is true then. */
  readonly backbone?: Backbone
  /** Nothing is kept for going on. */
  readonly passing?: boolean
  /** What is done with all that trains once it is ready, in the place of training it. */
  readonly instead?: ((trainee: Trainee) => Promise<Trained>) | undefined
  readonly startedAt: number
}

/** What of it the loop of steps wants to know. */
export interface GradualWork
  extends Pick<
    Work,
    | 'config'
    | 'out'
    | 'classWeights'
    | 'timing'
    | 'flushEvents'
    | 'origin'
    | 'budget'
    | 'resumed'
    | 'passing'
    | 'instead'
  > {
  readonly options: Pick<
    TrainOptions,
    'engine' | 'listener' | 'saveEvery' | 'keepCheckpoints' | 'tensorboard' | 'monitor'
  >
  readonly data: Pick<DataSplit, 'classes'>
}

/** Weights that a way of training found, and how it went. */
export interface Outcome {
  readonly weights: ReadonlyMap<string, HostTensor>
  readonly counters: ReadonlyMap<string, number>
  readonly history: readonly EpochRecord[]
  readonly bestEpoch: number
  readonly images: { readonly train: number; readonly val: number }
  /** What these weights make of the validation pictures. */
  readonly validation: LabelledOutputs
  /** What they make of vectors for the test, where those were given. */
  readonly test?: LabelledOutputs
  /** The head, where only training says what it is in full. */
  readonly head?: Head
  /** What was chosen while training; stands in the record. */
  readonly chosen?: JsonObject
  readonly stopped?: string | undefined
}

/** Collects bad pictures, tells about them once, and stops when there are too many. */
export function badCollector(work: Work, total: number): (image: BadImage) => void {
  const { bad, config, options } = work
  return (image) => {
    bad.push(image)
    options.listener?.({ type: 'bad', path: image.path, reason: image.reason })
    if (total >= 10 && (bad.length / total) * 100 > config.maxBad) {
      throw new RegraftError(
        'data',
        `More than ${config.maxBad} % of the pictures cannot be read (${bad.length} so far; the last: ${image.path}: ${image.reason}). Raise --max-bad to train on the rest.`,
      )
    }
  }
}

/** Whether training pictures are changed, so that they differ from epoch to epoch. */
export function changesPictures({ augment, reprob }: TrainConfig): boolean {
  return augment !== 'none' || reprob > 0
}

/** The epoch that the draws of an augmentation belong to: with variants they come again. */
export function drawEpoch({ cacheVariants }: TrainConfig, epoch: number): number {
  return cacheVariants === null ? epoch : epoch % cacheVariants
}

/** The training pictures of an epoch in its order; those in `bad` do not come. */
export function trainingOrder({ config, data }: Work, bad: ReadonlySet<number>, epoch: number): Uint32Array {
  if (config.sampler === 'all')
    return epochOrder(data.train.length, config.seed, epoch).filter((index) => !bad.has(index))
  const good = Uint32Array.from(data.train.keys()).filter((index) => !bad.has(index))
  const labels = Int32Array.from(good, (index) => data.train[index]?.label ?? 0)
  return balancedOrder(labels, config.seed, epoch).map((position) => good[position] ?? 0)
}

/** @param chosen  while training */
export function trainingRecord(work: Work, chosen: JsonObject = {}): unknown {
  const { config, model } = work
  return {
    mode: config.mode,
    from: { name: path.basename(model.origin.name), sha256: model.origin.sha256 ?? null },
    unfreeze: config.unfreeze,
    bn: config.bn,
    epochs: config.epochs,
    optimiser: config.opt,
    rate: config.lr,
    loss: config.loss,
    ...(config.solver === null
      ? {}
      : {
          solver: config.solver,
          strength: config.strength,
          neighbours: config.neighbours,
          pca: config.pca,
          whiten: config.whiten,
        }),
    ...chosen,
    seed: config.seed,
  }
}
