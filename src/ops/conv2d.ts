import { SCRATCH } from '../kernels/program.ts'
import { type ConvolutionAlgorithm, type ConvolutionShape, chooseConvolution } from './convolution-algorithm.ts'
import { type GroupedConvolution, recordGroupedBackward, recordGroupedForward } from './grouped.ts'
import {
  ACTIVATION_CODES,
  channelsOf,
  defineOp,
  firstInput,
  imageShape,
  onlyInput,
  paddedChannels,
  pixelsOf,
  type Recorder,
  rowsOf,
} from './op.ts'
import { geometry, reachOf, slide, type Window } from './window.ts'
import { recordWinograd, recordWinogradWeightGradient, turnedGeometry, winogradWeight } from './winograd.ts'

export interface Conv2dAttributes extends Window {
  readonly outChannels: number
  readonly bias?: boolean
  /** The channels fall into this many groups, in order; each output sees the inputs of its own group only. Default: 1. */
  readonly groups?: number
}

const ROW_GRAIN = 4
/** In groups of four columns: a tile of `matmulTransposed`. */
const COLUMN_GRAIN = 2

/** A 1x1 window that takes every pixel is a plain product of matrices. */
function isMatmul(attrs: Conv2dAttributes): boolean {
  const [kernelHeight, kernelWidth] = attrs.kernel
  const [strideHeight, strideWidth] = attrs.stride
  const padded = attrs.padding !== 'same' && attrs.padding.some((zeros) => zeros !== 0)
  return kernelHeight === 1 && kernelWidth === 1 && strideHeight === 1 && strideWidth === 1 && !padded
}

/** Input channels that one output sees. */
function groupInputs(attrs: Conv2dAttributes, channels: number): number {
  const groups = attrs.groups ?? 1
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0 || attrs.outChannels % groups !== 0) {
    throw new Error(
      `groups must divide the input and output channels; ${groups} does not divide ${channels} and ${attrs.outChannels}`,
    )
  }
  return channels / groups
}

/** Length of the sum behind one output: kh·kw·I. */
function summed(attrs: Conv2dAttributes, channels: number): number {
  return attrs.kernel[0] * attrs.kernel[1] * groupInputs(attrs, channels)
}

function grouped(attrs: Conv2dAttributes, record: Recorder): GroupedConvolution | undefined {
  const groups = attrs.groups ?? 1
  if (groups === 1) return undefined
  const { shape } = firstInput(record)
  return {
    groups,
    inputs: groupInputs(attrs, channelsOf(shape)),
    outputs: attrs.outChannels / groups,
    taps: attrs.kernel[0] * attrs.kernel[1],
    geometry: geometry(attrs, shape, attrs.outChannels),
  }
}

/** What serves the convolution, or one of its gradients. */
function algorithm(
  attrs: Conv2dAttributes,
  record: Recorder,
  direction: ConvolutionShape['direction'],
): ConvolutionAlgorithm {
  const input = imageShape(firstInput(record).shape)
  const output = imageShape(record.output.shape)
  const [from, to] = direction === 'backwardInput' ? [output, input] : [input, output]
  const shape: ConvolutionShape = {
    direction,
    kernel: attrs.kernel,
    stride: attrs.stride,
    dilation: attrs.dilation ?? [1, 1],
    groups: attrs.groups ?? 1,
    inChannels: from.channels,
    outChannels: to.channels,
    outHeight: to.height,
    outWidth: to.width,
    weightFixed: record.parametersFixed,
  }
  return chooseConvolution(shape, record.convolution)
}

/**
 * y = x * weight + bias.  x: [N, H, W, I]  weight: [O, I/groups, kh, kw]  bias: [O]  y: [N, OH, OW, O]
 * @throws Error when the groups do not divide the channels
 */
export const conv2d = defineOp<Conv2dAttributes>({
  shape(attrs, inputs) {
    const input = onlyInput(inputs)
    groupInputs(attrs, channelsOf(input))
    const { outHeight, outWidth } = slide(attrs, input)
    return [outHeight, outWidth, attrs.outChannels]
  },

  parameters(attrs, inputs) {
    const { channels } = imageShape(onlyInput(inputs))
    return [
      {
        name: 'weight',
        shape: [attrs.outChannels, groupInputs(attrs, channels), ...attrs.kernel],
        layout: 'convolution',
        kind: 'weight',
        initial: 'random',
      },
      ...(attrs.bias
        ? [{ name: 'bias', shape: [attrs.outChannels], layout: 'vector', kind: 'bias', initial: 0 } as const]
        : []),
    ]
  },

  cost(attrs, inputs) {
    const input = onlyInput(inputs)
    const { outHeight, outWidth } = slide(attrs, input)
    return outHeight * outWidth * attrs.outChannels * summed(attrs, channelsOf(input))
  },

  forward(attrs, record) {
    const input = firstInput(record)
    const channels = channelsOf(input.shape)
    const inGroups = grouped(attrs, record)
    if (inGroups) return recordGroupedForward(record, inGroups)

    const pixels = pixelsOf(record.output.shape)
    const K = summed(attrs, channels)
    const columns = paddedChannels(attrs.outChannels)
    const activation = ACTIVATION_CODES[record.activation]
    const table = geometry(attrs, input.shape, attrs.outChannels)
    if (isMatmul(attrs)) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'matmul',
        [
          input.place,
          paddedChannels(channels),
          record.packed('weight', K, columns),
          record.output.place,
          columns,
          columns,
          K,
          record.bias,
          record.residual,
          activation,
          SCRATCH,
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    } else if (algorithm(attrs, record, 'forward') === 'winograd') {
      recordWinograd(record, {
        source: input.place,
        target: record.output.place,
        packed: winogradWeight(record, 'forward', channels, attrs.outChannels),
        bias: record.bias,
        residual: record.residual,
        activation,
        geometry: table,
      })
    } else {
      record.flow(
        { rows: rowsOf(record.output.shape), reach: reachOf(attrs, input.shape) },
        'convolutionForward',
        [
          input.place,
          record.packed('weight', K, columns),
          record.output.place,
          record.bias,
          record.residual,
          activation,
          record.table(table),
          SCRATCH,
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    }
  },

  normalises: (attrs) => isMatmul(attrs) && (attrs.groups ?? 1) === 1,

  backward(attrs, record) {
    const input = firstInput(record)
    const channels = channelsOf(input.shape)
    const pixels = pixelsOf(record.output.shape)
    const columns = paddedChannels(attrs.outChannels)

    const dBias = attrs.bias ? record.gradient('bias') : undefined
    if (dBias) record.aside('sumRows', [record.dOutput, columns, { perImage: pixels }, dBias], columns / 4)

    const inGroups = grouped(attrs, record)
    if (inGroups) return recordGroupedBackward(record, inGroups)

    const K = summed(attrs, channels)
    const table = geometry(attrs, input.shape, attrs.outChannels)
    const dWeight = record.gradient('weight')
    if (dWeight && algorithm(attrs, record, 'backwardWeight') === 'winograd') {
      recordWinogradWeightGradient(record, dWeight, table)
    } else if (dWeight && isMatmul(attrs)) {
      // Whole columns where they are many: what is read most is then read by one worker alone.
      const byColumns = columns > channels ? 1 : 0
      record.aside(
        'matmulTransposed',
        [
          input.place,
          paddedChannels(channels),
          input.pending?.scaleShift ?? 0,
          ACTIVATION_CODES[input.pending?.activation ?? 'none'],
          record.dOutput,
          columns,
          dWeight,
          columns,
          { perImage: pixels },
          channels,
          columns,
          byColumns,
          SCRATCH,
        ],
        byColumns ? columns / 4 : channels,
        byColumns ? COLUMN_GRAIN : ROW_GRAIN,
      )
    } else if (dWeight) {
      record.aside(
        'convolutionBackwardWeight',
        [input.place, record.dOutput, dWeight, { perImage: 1 }, record.table(table), SCRATCH],
        K,
        ROW_GRAIN,
      )
    }

    const dInput = record.dInput(0)
    if (!dInput) return
    if (isMatmul(attrs)) {
      const stride = paddedChannels(channels)
      const packed = record.packedTransposed('weight', attrs.outChannels, stride)
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'matmul',
        [
          record.dOutput,
          columns,
          packed,
          dInput.place,
          stride,
          stride,
          attrs.outChannels,
          0,
          dInput.accumulate ? dInput.place : 0,
          0,
          SCRATCH,
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    } else if (algorithm(attrs, record, 'backwardInput') === 'winograd') {
      recordWinograd(record, {
        source: record.dOutput,
        target: dInput.place,
        packed: winogradWeight(record, 'backwardInput', channels, attrs.outChannels),
        bias: 0,
        residual: dInput.accumulate ? dInput.place : 0,
        activation: ACTIVATION_CODES.none,
        geometry: turnedGeometry(table),
      })
    } else {
      // The kernel knows the padded output channels only.
      const packed = record.packedTransposed('weight', columns, paddedChannels(K))
      record.call(
        'convolutionBackwardInput',
        [record.dOutput, packed, dInput.place, record.table(table), dInput.accumulate, SCRATCH],
        { perImage: 1 },
      )
    }
  },
})
