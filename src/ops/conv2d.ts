import { SCRATCH } from '../kernels/program.ts'
import {
  ACTIVATION_CODES,
  channelsOf,
  defineOp,
  firstInput,
  imageShape,
  onlyInput,
  paddedChannels,
  pixelsOf,
  rowsOf,
} from './op.ts'
import { geometry, reachOf, slide, type Window } from './window.ts'

export interface Conv2dAttributes extends Window {
  readonly outChannels: number
  readonly bias?: boolean
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

/** Length of the sum behind one output: kh·kw·I. */
function summed(attrs: Conv2dAttributes, channels: number): number {
  return attrs.kernel[0] * attrs.kernel[1] * channels
}

/** y = x * weight + bias, over all channels.  x: [N, H, W, I]  weight: [O, I, kh, kw]  bias: [O]  y: [N, OH, OW, O] */
export const conv2d = defineOp<Conv2dAttributes>({
  shape(attrs, inputs) {
    const { outHeight, outWidth } = slide(attrs, onlyInput(inputs))
    return [outHeight, outWidth, attrs.outChannels]
  },

  parameters(attrs, inputs) {
    const { channels } = imageShape(onlyInput(inputs))
    return [
      {
        name: 'weight',
        shape: [attrs.outChannels, channels, ...attrs.kernel],
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
    const pixels = pixelsOf(record.output.shape)
    const K = summed(attrs, channels)
    const columns = paddedChannels(attrs.outChannels)
    const packed = record.packed('weight', K, columns)
    const activation = ACTIVATION_CODES[record.activation]
    if (isMatmul(attrs)) {
      record.flow(
        { rows: rowsOf(record.output.shape) },
        'matmul',
        [
          input.place,
          paddedChannels(channels),
          packed,
          record.output.place,
          columns,
          columns,
          K,
          record.bias,
          record.residual,
          activation,
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    } else {
      record.flow(
        { rows: rowsOf(record.output.shape), reach: reachOf(attrs, input.shape) },
        'convolutionForward',
        [
          input.place,
          packed,
          record.output.place,
          record.bias,
          record.residual,
          activation,
          record.table(geometry(attrs, input.shape, attrs.outChannels)),
          SCRATCH,
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    }
  },

  normalises: (attrs) => isMatmul(attrs),

  backward(attrs, record) {
    const input = firstInput(record)
    const channels = channelsOf(input.shape)
    const pixels = pixelsOf(record.output.shape)
    const K = summed(attrs, channels)
    const columns = paddedChannels(attrs.outChannels)
    const table = () => record.table(geometry(attrs, input.shape, attrs.outChannels))

    const dBias = attrs.bias ? record.gradient('bias') : undefined
    if (dBias) record.aside('sumRows', [record.dOutput, columns, { perImage: pixels }, dBias], columns / 4)

    const dWeight = record.gradient('weight')
    if (dWeight && isMatmul(attrs)) {
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
        [input.place, record.dOutput, dWeight, { perImage: 1 }, table(), SCRATCH],
        K,
        ROW_GRAIN,
      )
    }

    const dInput = record.dInput(0)
    if (dInput && isMatmul(attrs)) {
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
        ],
        { perImage: pixels },
        ROW_GRAIN,
      )
    } else if (dInput) {
      // The kernel knows the padded output channels only.
      const packed = record.packedTransposed('weight', columns, paddedChannels(K))
      record.call(
        'convolutionBackwardInput',
        [record.dOutput, packed, dInput.place, table(), dInput.accumulate, SCRATCH],
        { perImage: 1 },
      )
    }
  },
})
