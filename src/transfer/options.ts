// The options that the verbs take. Names are those of the command line in camel case; defaults stand in `train-defaults.ts`.

import type { AugmentInput } from '../data/augmentations/index.ts'
import type { Engine } from '../kernels/engine.ts'
import type { OptimiserName } from '../optim/optimisers.ts'
import type { ScheduleName } from '../optim/schedule.ts'
import type { LossName } from '../runtime/loss.ts'
import type { OnNan } from '../train/divergence.ts'
import type { Evaluation } from '../train/evaluation.ts'
import type { Listener } from '../train/events.ts'
import type { NumberErrors } from '../train/target-metrics.ts'
import type { VectorType } from '../vectors/vector-table.ts'
import type { VectorFormat } from '../vectors/write-table.ts'
import type { EmbedSpeed } from './embed-speed.ts'
import type { Solver } from './solver-names.ts'

/** How pictures become the network's input; what is absent comes from the model. */
export interface PreprocessingOverrides {
  readonly imgSize?: number
  readonly cropPct?: number
  readonly interpolation?: 'bilinear' | 'bicubic' | 'lanczos' | 'nearest'
  readonly cropMode?: 'center' | 'squash' | 'border'
  /** exact: the bytes that Pillow gives; fast: libvips, for photos much larger than the network's input. */
  readonly resize?: 'exact' | 'fast'
  /** default: EXIF upright, ICC to sRGB, alpha over white; timm: alpha dropped, EXIF and ICC ignored. */
  readonly preprocess?: 'default' | 'timm'
}

export interface WorkOptions {
  readonly engine: Engine
  readonly signal?: AbortSignal | undefined
  readonly listener?: Listener | undefined
  /** What to do with a picture that cannot be read: leave it out (default) or stop. */
  readonly onError?: 'skip' | 'stop'
  /** Models of the hub only as they are in the cache; also by HF_HUB_OFFLINE. */
  readonly offline?: boolean
}

/** What the values of pixels are made to be; 'model': as the model has it. */
export type Normalisation = 'model' | 'channel-mean' | 'channel-mean-std' | 'mean-image' | 'none'

/** Which training pictures an epoch has: all of them, or as many in which all classes come equally often. */
export type Sampler = 'all' | 'balanced'

/** What is watched of a network in training: nothing, the size of updates, or activations and gradients too. */
export type Monitoring = 'off' | 'light' | 'full'

/** 'none', 'light', 'medium', 'strong', the path of a YAML file, or what stands in one. */
export type Augment = string | readonly AugmentInput[]

export type TrainMode = 'features' | 'head' | 'finetune'

export interface TrainOptions extends WorkOptions, PreprocessingOverrides {
  /** The image folder. */
  readonly data: string
  /** A path, the name of a card, `owner/name[@rev]` on the hub, or 'default'. */
  readonly model?: string
  /** Run folder to write. */
  readonly out: string
  readonly overwrite?: boolean
  /** A run folder to go on with; its effective configuration is used. */
  readonly resume?: string
  readonly mode?: TrainMode
  /** false: random weights. */
  readonly pretrained?: boolean
  readonly unfreeze?: string
  readonly freeze?: string
  /**
   * Statistics of batch norms: those of the model (frozen), of each batch in layers that train or in all (train-unfrozen, train), or
   * those of all training pictures, estimated once (adapt).
   */
  readonly bn?: 'frozen' | 'train-unfrozen' | 'train' | 'adapt'
  readonly bnAffine?: 'train' | 'frozen'
  readonly epochs?: number
  readonly batchSize?: number
  /** Batches of a step. */
  readonly accum?: number
  /** Pictures of a batch that are computed at a time; all, or what fits into memory, when left out. */
  readonly microBatch?: number
  readonly opt?: OptimiserName
  /** A rate; or 'A:B', from A in the first layers that train to B in the head, by the same factor from block to block. */
  readonly lr?: number | string
  /** Multiplies the rate from block to block, from the head on: 0.75, say. */
  readonly layerDecay?: number
  /** Epochs after which one more block trains, from the head on; all from the beginning when left out. */
  readonly gradual?: number
  /** How much an average of the weights keeps from step to step, 0…1; it is what is validated and saved. None when left out. */
  readonly ema?: number
  readonly momentum?: number
  readonly weightDecay?: number
  /** Adds l2/(2n)·sum of squared weights to the loss, n training pictures. */
  readonly l2?: number
  /** Adds l1/n·sum of absolute weights to the loss, n training pictures. */
  readonly l1?: number
  readonly sched?: ScheduleName
  /** What the rate is multiplied by, or the number that plays this part in the schedule. */
  readonly decayRate?: number
  /** Epochs between two steps, the plateau's patience, or the length of the first cycle. */
  readonly decayEpochs?: number
  /** Epochs after which the rate is lowered, '10,15'. */
  readonly decayMilestones?: string
  readonly warmupEpochs?: number
  readonly warmupHead?: number
  /**
   * ce: cross-entropy of softmax; bce: of a sigmoid for each class; mse: squared error of the outputs; l1: their error;
   * huber and smooth-l1: squared where it is small, then straight; quadratic: squared error of sigmoids, halved; hinge: by how much other
   * classes come nearer than 1; focal and sigmoid-focal: ce and bce that count what is known well less.
   */
  readonly loss?: LossName
  /** How much less, as a power of what is missing to 1; 2 when left out. */
  readonly focalGamma?: number
  /** Of sigmoid-focal: how much labels that are there count, the others 1 less it; 0.25 when left out. */
  readonly focalAlpha?: number
  /** Difference up to which huber and smooth-l1 (its beta) are squares; 1 when left out. */
  readonly huberDelta?: number
  readonly smoothing?: number
  readonly clipGrad?: number
  /** Share of the values left out at random before the classifier and each further layer of the head, 0 to below 1. */
  readonly dropout?: number
  /** Share of the weights of the head's linear layers that each step leaves out, 0 to below 1. */
  readonly dropconnect?: number
  /** Share of the pictures that go around a residual branch, in the last block; less in those before, as in timm. 0 to below 1. */
  readonly dropPath?: number
  /** By which the losses of the classes count: 'auto' for small classes more, or a JSON file of numbers by class. */
  readonly classWeights?: string
  readonly sampler?: Sampler
  /** 'linear', 'mlp:WIDTHxDEPTH' or 'maxout:WIDTHxK'. */
  readonly head?: string
  /** Of the hidden layers of an mlp: 'relu', 'gelu', 'leaky-relu:0.1', 'elu:1', 'prelu' (learnt) and others. */
  readonly activation?: string
  /** How fresh weights are drawn, and after a comma fresh biases: 'he-normal', 'normal:0.01', 'xavier-uniform,constant:0.1'. */
  readonly init?: string
  /**
   * How pixels become numbers: as the model has it, less the mean of each channel over the training pictures, divided by its standard
   * deviation too, less their mean picture, or from 0 to 1 as they are. Saved with the model.
   */
  readonly normalize?: Normalisation
  /**
   * Of a head that is solved: scikit-learn's C of logistic regression, 1/alpha of ridge regression; smaller holds the weights closer to
   * zero. 'auto': by cross-validation on the training pictures.
   */
  readonly strength?: number | 'auto'
  /**
   * How a head on features is found: logistic regression (lbfgs), ridge regression, the nearest training vectors (knn), the nearest mean
   * of a class (centroid), or steps along the gradient.
   */
  readonly solver?: Solver
  /** How many training vectors vote with knn; by what each would be called by the others when left out. */
  readonly neighbours?: number
  /** Learn from so many principal components of the features. */
  readonly pca?: number
  /** Divide each component by its standard deviation. */
  readonly whiten?: boolean
  /** Random changes of training pictures: a preset, a YAML file, or a list of them; see docs/augmentation.md. */
  readonly augment?: Augment
  /** Blends pairs of pictures, by shares from Beta(mixup, mixup); 0 switches it off. */
  readonly mixup?: number
  /** Puts boxes of pictures into others, by shares from Beta(cutmix, cutmix); 0 switches it off. */
  readonly cutmix?: number
  /** Probability with which a box of a training picture is filled with the model's mean colour, 0 to 1. */
  readonly reprob?: number
  /**
   * Where the activations of pictures below the first layer that trains are kept: 'off', 'memory' or a folder. Memory, as far as it goes,
   * when left out. Changes no result.
   */
  readonly cache?: string
  /** Most bytes of it. */
  readonly cacheSize?: number
  /** How many versions of a picture an augmentation makes; one for each epoch when left out. */
  readonly cacheVariants?: number
  /** Fraction, folder or list file. */
  readonly val?: string
  readonly trainList?: string
  /** A column of the manifest, or an expression on paths: what is never divided between training and validation. */
  readonly groupBy?: string
  /** Leave out copies of pictures, and all of those with two labels. */
  readonly dedupe?: boolean
  readonly test?: string
  readonly patience?: number
  /** What to do when loss or gradient are not finite; the step is not made in any case. */
  readonly onNan?: OnNan
  /** Seconds after which training is saved and stops with an error of code 'time'; at least one step is made. */
  readonly time?: number
  readonly minAccuracy?: number
  readonly strict?: boolean
  /** Largest share of unreadable pictures, in percent. */
  readonly maxBad?: number
  readonly seed?: number
  /** How often a checkpoint is written within an epoch: steps ('200') or a time ('5m'). */
  readonly saveEvery?: string
  /** The newest checkpoints that are kept; the last one between two epochs is kept besides. */
  readonly keepCheckpoints?: number
  readonly allowBuildChange?: boolean
  /** Whether to look ahead for a few seconds before training; true when left out. Changes no result. */
  readonly checks?: boolean
  /** Files in `monitor/` of the run; changes no result. */
  readonly monitor?: Monitoring
  /** An event file for TensorBoard in `tensorboard/` of the run. */
  readonly tensorboard?: boolean
}

/** As for `train`; the mode is 'finetune' when left out. */
export interface ShowAugmentOptions extends Omit<TrainOptions, 'out' | 'overwrite' | 'resume'> {
  /** The sheet to write: .jpg, .png or .webp. */
  readonly file: string
}

/** A contact sheet that was written. */
export interface AugmentSheet {
  readonly file: string
  /** Pixels. */
  readonly width: number
  readonly height: number
  /** Pictures in a row: as for validation, then as in epochs 1, 2, … */
  readonly columns: number
  /** One for each row. */
  readonly pictures: readonly { readonly path: string; readonly label: number }[]
}

export interface TrainResult {
  readonly out: string
  readonly classes: readonly string[]
  readonly best: {
    readonly epoch: number
    readonly valAccuracy: number
    readonly valLoss: number
    /** Of the largest outputs: 5, or 2 with five classes or fewer. */
    readonly valTopAccuracy: number
    readonly valBalancedAccuracy: number
    readonly valMacroF1: number
  }
  readonly final: { readonly valAccuracy: number; readonly valLoss: number; readonly trainAccuracy: number }
  /** Where numbers are predicted: how far they are off; accuracies are R² then. */
  readonly numbers?: { readonly val: NumberErrors; readonly test?: NumberErrors }
  /** Whether the best epoch overfits, and what to do; absent when no epoch was finite. */
  readonly gap?: Gap
  readonly test?: { readonly accuracy: number; readonly loss: number; readonly images: number }
  readonly images: { readonly train: number; readonly val: number; readonly bad: number }
  readonly seconds: { readonly total: number; readonly decode: number; readonly compute: number }
  /** Why training ended before the last epoch, if it did. */
  readonly stopped?: string
  /** Best accuracy is below `minAccuracy`; everything was written. */
  readonly belowMinimum: boolean
}

/** Something that was looked at before a training. */
export interface Check {
  readonly name: string
  /** false: a person should look at it. Training goes on all the same. */
  readonly ok: boolean
  /** In words; what trains is a table below a line. */
  readonly message: string
}

/** Seconds of a run by what takes them. */
export interface SecondsBy {
  /** Listing the pictures and opening the model. */
  readonly scan: number
  readonly checks: number
  /** Computing features, once. */
  readonly features: number
  /** Training the head alone. */
  readonly head: number
  readonly epochs: number
  /** Checkpoints and the best model. */
  readonly writing: number
  /** What comes after the last epoch. */
  readonly end: number
}

/** What can be said before a training. */
export interface Outlook {
  readonly checks: readonly Check[]
  /** By block of the network, in its order. */
  readonly trains: readonly {
    readonly name: string
    readonly parameters: number
    readonly training: number
    /** Learning rate; 0 where the head is solved, null where nothing trains. */
    readonly rate: number | null
  }[]
  /** Of the whole run with all its epochs, these checks included; null where it could not be tried. */
  readonly seconds: number | null
  readonly secondsBy: SecondsBy | null
  /** Largest memory of the process. */
  readonly memoryBytes: number
  readonly diskBytes: number
}

/** How much better an epoch is on pictures that it has learnt from. */
export interface Gap {
  readonly epoch: number
  /** Training accuracy less validation accuracy. Augmentation makes training pictures harder, so it may be below zero. */
  readonly accuracy: number
  /** Validation loss less training loss. */
  readonly loss: number
  /** overfitting: learnt by heart; underfitting: not learnt enough; fitting: neither is to be seen. */
  readonly meaning: 'overfitting' | 'underfitting' | 'fitting'
  /** A sentence or two for a person. */
  readonly advice: string
}

/** Files, folders, patterns, lists of paths and manifests, known beforehand or as they come. */
export type Inputs = readonly string[] | AsyncIterable<string>

/** One row of `predict`. */
export interface Prediction {
  readonly path: string
  readonly label: string | null
  readonly score: number | null
  /** Why there is no label; null when there is one. */
  readonly error: string | null
  readonly top: readonly { readonly label: string; readonly score: number }[]
}

export interface PredictOptions extends WorkOptions, PreprocessingOverrides {
  readonly topk?: number
  /** The network of a head that learnt from vectors alone. */
  readonly backbone?: string
  /** Probability below which the label is 'unknown'; the model's when left out, 0 for never. */
  readonly threshold?: number
  readonly batchSize?: number
}

export interface EmbedOptions extends WorkOptions, PreprocessingOverrides {
  /** Folder to write vectors, `index.csv` and `meta.json` to. */
  readonly out: string
  readonly overwrite?: boolean
  /** Go on with what an interrupted call has left. */
  readonly resume?: boolean
  readonly batchSize?: number
  /** Layers, blocks or stages; the input of the classifier when left out. */
  readonly layers?: readonly string[]
  /** How a layer with a value for each place becomes a vector: the mean over places, or all values, channel by channel. */
  readonly pool?: 'mean' | 'none'
  /** Only so many principal components of the vectors, fitted to all of them. */
  readonly pca?: number
  /** Divide by the standard deviation along each component. */
  readonly whiten?: boolean
  /** Scale each vector to length 1, after all else. */
  readonly l2Normalize?: boolean
  readonly format?: VectorFormat
  readonly dtype?: VectorType
  /** Afterwards measure what the cores allow; takes some seconds. */
  readonly speed?: boolean
  /** Only every count-th input, beginning with the index-th, from 1; `merge` puts shards together. */
  readonly shard?: { readonly index: number; readonly count: number }
}

export interface EmbedResult {
  readonly out: string
  readonly rows: number
  /** Of the first layer. */
  readonly features: number
  readonly layers: readonly { readonly name: string; readonly features: number }[]
  readonly failed: number
  readonly imagesPerSecond: number
  /** Where it was asked for, and a picture could be read. */
  readonly speed?: EmbedSpeed
}

/** One row of `embedRows`. */
export interface EmbedRow {
  readonly path: string
  readonly label: string | null
  /** Why there are no vectors; null when there are. */
  readonly error: string | null
  /** One per layer; its values are null where there is an error. */
  readonly vectors: readonly {
    readonly layer: string
    readonly columns: number
    readonly values: Float32Array | null
  }[]
}

export interface MergeOptions extends WorkOptions {
  readonly out: string
  readonly overwrite?: boolean
  readonly format?: VectorFormat
  /** As in `EmbedOptions`. */
  readonly pca?: number
  readonly whiten?: boolean
  readonly l2Normalize?: boolean
}

export interface MergeResult {
  readonly out: string
  readonly rows: number
  readonly failed: number
  readonly shards: number
}

export interface SearchOptions extends WorkOptions {
  /** Matches per query; 10 when left out. */
  readonly topk?: number
  /** The model that made the vectors, where it is no longer found by the name it had. */
  readonly model?: string
  readonly batchSize?: number
}

/** What was found for one query. */
export interface SearchRow {
  readonly query: string
  /** Why the query has no vector; null when it has. */
  readonly error: string | null
  /** Falling scores, which are cosines. */
  readonly matches: readonly {
    readonly row: number
    readonly path: string
    readonly label: string | null
    readonly score: number
  }[]
}

export interface SearchResult {
  readonly rows: readonly SearchRow[]
  readonly vectors: number
  readonly features: number
  /** Reading the vectors, and comparing them. */
  readonly seconds: { readonly load: number; readonly search: number }
}

export interface DedupeOptions extends WorkOptions {
  /** Smallest cosine of vectors that count as the same; 0.98 when left out. */
  readonly similarity?: number
}

export interface DedupeResult {
  readonly vectors: number
  readonly similarity: number
  /** Of at least two rows each, in their order; the score is the largest to another row of the group. */
  readonly groups: readonly (readonly {
    readonly row: number
    readonly path: string
    readonly label: string | null
    readonly score: number
  }[])[]
  /** Rows that could go: all but the first of each group. */
  readonly copies: number
}

export interface EvaluateResult extends Evaluation {
  /** Where a precision was asked for: the smallest probability that reaches it, and what holds from there on. */
  readonly threshold?: { readonly value: number; readonly precision: number; readonly coverage: number }
  readonly bad: number
  readonly imagesPerSecond: number
}

export interface EvaluateOptions extends PredictOptions {
  /** Folder to write the evaluation's files to: numbers for programs, pictures for people. */
  readonly report?: string
  /** Find the probability from which on this share of the labels is right. */
  readonly precision?: number
  /** Write it into the model's folder: what is less probable is called unknown from then on. */
  readonly store?: boolean
}

export type ExportFormat = 'onnx' | 'safetensors' | 'tfjs'

export interface ExportOptions extends Pick<WorkOptions, 'engine' | 'signal' | 'listener' | 'offline'> {
  readonly format: ExportFormat
  /** Folder to write. */
  readonly out: string
  readonly overwrite?: boolean
  /** Element type of the weights; of safetensors alone. */
  readonly dtype?: 'float32' | 'float16'
}

export interface ExportResult {
  readonly out: string
  readonly format: ExportFormat
  readonly files: readonly string[]
  /** Largest difference to the model's own outputs, relative to the largest of them. */
  readonly difference: number
}
