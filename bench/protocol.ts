// What the benchmark asks of a contestant, one JSON object a line, and what it answers. A contestant is a process of its own, so that
// thread pools, memory and V8's flags of one do not touch another; between two requests it waits.
import type { AttributesOf, OpName } from '../src/ops/index.ts'

/** c = a·b: a f32[m, k], b f32[k, n], row by row. b is known beforehand, as weights are. */
export interface MatmulTask {
  readonly kind: 'matmul'
  readonly m: number
  readonly n: number
  readonly k: number
  /** Files of f32. */
  readonly a: string
  readonly b: string
}

/** A square convolution of stride 1, or the gradient of its weight. */
export interface ConvolutionTask {
  readonly kind: 'convolution'
  readonly pass: 'forward' | 'weight gradient'
  readonly images: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly outChannels: number
  readonly kernel: number
  readonly padding: number
  /** Files of f32: x [N, H, W, I], weight [O, I, kh, kw], dOutput [N, H, W, O]. */
  readonly input: string
  readonly weight: string
  readonly dOutput: string
}

/** One operator of ours on its own. */
export interface OpTask<K extends OpName = OpName> {
  readonly kind: 'op'
  readonly op: K
  readonly attrs: AttributesOf<K>
  /** A pass of training, with statistics of the batch where there are any; null: inference. */
  readonly training: {
    readonly pass: 'forward' | 'backward'
    /** File of f32, [N, …output]. */
    readonly outputGradient: string
  } | null
  readonly images: number
  /** Without the batch, channels last. */
  readonly inputShape: readonly number[]
  /** Files of f32 without padding; parameters by their names, in the layout of weight files. */
  readonly input: string
  readonly parameters: Readonly<Record<string, string>>
}

/** What a network is made from, the same for all: pictures are RGB bytes [N, H, W, 3] and become (v/255 - mean)/std. */
export interface NetworkTask {
  /** timm's name. */
  readonly network: string
  readonly classes: number
  readonly size: number
  readonly images: number
  readonly mean: number
  readonly std: number
  /** safetensors with timm's names. */
  readonly weights: string
  readonly pictures: string
  /** PyTorch's memory format; the others have one layout. */
  readonly channelsLast?: boolean
}

export interface ForwardTask extends NetworkTask {
  readonly kind: 'forward'
}

/** A step of SGD with momentum 0.9 on the mean cross-entropy; picture i belongs to class i. */
export interface TrainingTask extends NetworkTask {
  readonly kind: 'training'
  /** Names of the layers that train. */
  readonly trainable: readonly string[]
  /** Names of the batch norms with statistics of the batch; the others keep theirs. */
  readonly batchStatistics: readonly string[]
  /** Activations kept from an earlier pass, with which the step starts in place of the pictures. */
  readonly kept: {
    /** The layer they came out of. */
    readonly layer: string
    /** Without the batch, channels last. */
    readonly shape: readonly number[]
    /** f32, [N, …shape]. */
    readonly file: string
  } | null
  /** Rate of the step that is checked. While time is taken it is small, so that weights stay what they are. */
  readonly rate: number
}

/** A loop of multiply-adds on registers. */
export interface PeakTask {
  readonly kind: 'peak'
}

export type Task = MatmulTask | ConvolutionTask | OpTask | ForwardTask | TrainingTask | PeakTask

export type Request =
  /** Makes everything ready that does not belong into the time: files read, weights packed, sessions opened. */
  | { readonly do: 'load'; readonly task: Task }
  /** Does it once and says what came out; it is the first thing asked of a task. */
  | { readonly do: 'check'; readonly folder: string }
  /** Does it again and again until `seconds` have passed, once at least. */
  | { readonly do: 'time'; readonly seconds: number }
  | { readonly do: 'unload' }
  | { readonly do: 'peak memory' }

/** The first line that a contestant writes. */
export interface Introduction {
  /** Name with version, as it is printed. */
  readonly is: string
  /** More about its build, for the record. */
  readonly details: string
}

/** What came out: arrays as files of f32, and single numbers. */
export interface Checked {
  readonly arrays: Readonly<Record<string, string>>
  readonly numbers: Readonly<Record<string, number>>
}

export interface Timed {
  readonly calls: number
  readonly seconds: number
}

export interface Memory {
  /** Most memory that the process ever held. */
  readonly peakBytes: number
}

export type Answer = Introduction | Checked | Timed | Memory | Record<string, never> | { readonly error: string }
