// What an operator is: shapes, parameters, cost, and the kernel calls that its forward and backward consist of.
import type { Argument, ArgumentsOf, Count, KernelName } from '../kernels/program.ts'
import type { Shape } from '../tensor/shape.ts'
import type { ConvolutionAlgorithm } from './convolution-algorithm.ts'

/** A stretch of memory whose address is not known yet. It grows with the pictures in the batch and with the workers. */
export interface Block {
  readonly name: string
  readonly fixedBytes: number
  readonly bytesPerImage: number
  readonly bytesPerWorker?: number
}

/** A place inside a block. */
export interface Place {
  readonly block: Block
  readonly offsetBytes: number
}

/** A layer's activations: shape without the batch, last axis channels; pixels lie `paddedChannels` apart. */
export interface Value {
  readonly place: Place
  readonly shape: Shape
  /** What whoever reads the values has to do to them first. */
  readonly pending?: Normalisation
}

/** act(x·scale + shift), per channel. */
export interface Normalisation {
  /** scale[S], shift[S] */
  readonly scaleShift: Place
  readonly activation: FusedActivation
}

export const ACTIVATION_CODES = { none: 0, relu: 1, relu6: 2 } as const
/** Activations that a store or a batch norm applies on the way. */
export type FusedActivation = keyof typeof ACTIVATION_CODES

/** How a parameter's values are ordered: in files as PyTorch has them, in memory as the kernels want them. */
export type ParameterLayout = 'vector' | 'rows' | 'convolution' | 'depthwise' | 'linear' | 'image'

/**
 * 'norm' parameters are the scale and shift of a normalisation, 'slope' ones belong to an activation; 'statistic' ones are running
 * averages and the like, never trained.
 */
export type ParameterKind = 'weight' | 'bias' | 'norm' | 'slope' | 'statistic'

export interface ParameterSpec {
  /** Name after the layer's own, as in PyTorch: 'weight'. */
  readonly name: string
  /** Shape in files. */
  readonly shape: Shape
  readonly layout: ParameterLayout
  readonly kind: ParameterKind
  /** Value before anything is loaded: a constant, or random for weights (see `initialise`). */
  readonly initial: 'random' | number
}

/** Channels as they lie in memory: a multiple of four. */
export function paddedChannels(channels: number): number {
  return Math.ceil(channels / 4) * 4
}

/** Number of channels, the last axis. */
export function channelsOf(shape: Shape): number {
  return shape[shape.length - 1] ?? 1
}

/** Number of positions of one picture: everything but the last axis. */
export function pixelsOf(shape: Shape): number {
  return shape.slice(0, -1).reduce((product, size) => product * size, 1)
}

/** Height, width and channels of an image-shaped value. */
export function imageShape(shape: Shape): { height: number; width: number; channels: number } {
  const [height, width, channels] = shape
  if (height === undefined || width === undefined || channels === undefined || shape.length !== 3) {
    throw new Error(`expected [height, width, channels], got [${shape.join(', ')}]`)
  }
  return { height, width, channels }
}

/** The rows of a picture that a window reads. */
export interface Reach {
  /** Rows of what is read. */
  readonly rows: number
  /** The first row, and one past the last, that row `row` of what is written needs. They grow with it and may lie outside. */
  first(row: number): number
  end(row: number): number
}

/** How a call goes through each picture from top to bottom. Its units are spread evenly over the rows. */
export interface Flow {
  /** Rows of a picture of what it writes, or of what it sums up. */
  readonly rows: number
  /** Which rows it reads; those that it writes when left out. */
  readonly reach?: Reach
}

/** Rows of a picture; a vector is one. */
export function rowsOf(shape: Shape): number {
  return shape.length > 1 ? (shape[0] ?? 1) : 1
}

/** What forward and backward share: places to work with and the list to write calls into. */
export interface Recorder {
  readonly inputs: readonly Value[]
  readonly output: Value
  /** A parameter in kernel layout. Below the frontier its batch norm may have been folded into it. */
  parameter(name: string): Place
  /** A constant table of integers, as `geometry`. */
  table(integers: readonly number[]): Place
  /** Memory until the end of this layer's calls; per picture unless `fixed`. */
  temporary(name: string, bytes: number, fixed?: 'fixed'): Place
  /** Memory that forward fills and backward of the same layer reads. */
  kept(name: string, bytes: number, fixed?: 'fixed'): Place
  /** Memory of this layer that lives as long as the runner. */
  constant(name: string, bytes: number): Place
  /** Memory that a call fills from the layer's parameters: once where these do not change from step to step, else in each step. */
  derived<K extends KernelName>(
    name: string,
    bytes: number,
    kernel: K,
    args: (made: Place) => ArgumentsOf<K, Place> & readonly Argument<Place>[],
    units: Count,
  ): Place
  /** Whether no parameter of the layer changes from step to step. */
  readonly parametersFixed: boolean
  /** Of what is left out at random in training: two integers for each picture, or two for the step. */
  keys(of: 'pictures' | 'step'): Place
  /** An algorithm that convolutions take wherever it can serve them, instead of that of the table. */
  readonly convolution: ConvolutionAlgorithm | undefined
  /** Batch norm: normalise with the batch's statistics (and update the running ones) or with the running ones. */
  readonly batchStatistics: boolean
  /** A call in each run. */
  call<K extends KernelName>(
    kernel: K,
    args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
    units: Count,
    grain?: number,
  ): void
  /** A call in each run that goes through pictures from top to bottom, so that it may follow others piece by piece. */
  flow<K extends KernelName>(
    flow: Flow,
    kernel: K,
    args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
    units: Count,
    grain?: number,
  ): void
}

export interface ForwardRecorder extends Recorder {
  /**
   * A matrix in the panels that `matmul` wants. For weights that do not change from step to step the packing happens once.
   * @param rows     K
   * @param columns  N, padded
   * @param source   a matrix in the place of the parameter, made anew in each run
   */
  packed(name: string, rows: number, columns: number, source?: Place): Place
  /** Bias to add in the store: the layer's own, or what folding a batch norm left. 0 when there is none. */
  readonly bias: Place | 0
  /** A value to add in the store, or 0. */
  readonly residual: Place | 0
  readonly activation: FusedActivation
  /**
   * Leaves the last step of this layer's way from its input to its output to whoever reads the output.
   * @returns  false where the layer has to do it
   */
  leave(normalisation: Normalisation): boolean
  /** Calls that need repeating only when frozen weights change. */
  constantCall<K extends KernelName>(
    kernel: K,
    args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
    units: Count,
    grain?: number,
  ): void
}

export interface BackwardRecorder extends Recorder {
  /** A call in each run for which no other call of the run waits: the gradient of a parameter. */
  aside<K extends KernelName>(
    kernel: K,
    args: ArgumentsOf<K, Place> & readonly Argument<Place>[],
    units: Count,
    grain?: number,
  ): void
  readonly dOutput: Place
  /** The transposed matrix, rows N by columns K, packed; `source` as in `packed`. */
  packedTransposed(name: string, rows: number, columns: number, source?: Place): Place
  /** Where a parameter's gradient is added, or undefined when it is frozen. */
  gradient(name: string): Place | undefined
  /** Where an input's gradient goes, to be written or added to; undefined when nobody needs it. */
  dInput(index: number): { readonly place: Place; readonly accumulate: 0 | 1 } | undefined
  /** As `dInput`, but the place may be that of `dOutput` when nothing was written for this input before. */
  dInputInPlace(index: number): { readonly place: Place; readonly accumulate: 0 | 1 } | undefined
}

/** One record per kind of layer. Stateless: `forward` and `backward` record kernel calls when a plan is made, they do not run them. */
export interface Op<A> {
  /** Output shape without the batch. @throws Error with a plain reason when the inputs do not fit */
  shape(attrs: A, inputs: readonly Shape[]): Shape
  parameters(attrs: A, inputs: readonly Shape[]): readonly ParameterSpec[]
  /** Multiply-adds per picture. */
  cost(attrs: A, inputs: readonly Shape[]): number
  forward(attrs: A, record: ForwardRecorder): void
  /**
   * Whether `backward` can do a pending normalisation of its only input itself; it finds one in the inputs' values. In `forward`
   * it has been done. No when left out.
   */
  normalises?(attrs: A, inputs: readonly Shape[]): boolean
  /** Adds into the gradients of parameters; writes, or adds to, those of inputs. */
  backward(attrs: A, record: BackwardRecorder): void
}

/** Gives `Op` its attribute type. */
export function defineOp<A>(op: Op<A>): Op<A> {
  return op
}

export function onlyInput(inputs: readonly Shape[]): Shape {
  const [input] = inputs
  if (input === undefined || inputs.length !== 1) throw new Error(`expected one input, got ${inputs.length}`)
  return input
}

/** The first input of a recorder. */
export function firstInput(record: Recorder): Value {
  const [input] = record.inputs
  if (input === undefined) throw new Error('a layer without inputs was asked for one')
  return input
}
