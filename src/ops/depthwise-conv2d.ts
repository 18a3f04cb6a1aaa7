import { SCRATCH, SCRATCH_BYTES } from '../kernels/program.ts'
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
import { geometry, reachBack, reachOf, slide, type Window } from './window.ts'

export interface DepthwiseConv2dAttributes extends Window {
  readonly bias?: boolean
}

/** Each channel by a kernel of its own.  x: [N, H, W, C]  weight: [C, 1, kh, kw]  bias: [C]  y: [N, OH, OW, C] */
export const depthwiseConv2d = defineOp<DepthwiseConv2dAttributes>({
  shape(attrs, inputs) {
    const input = onlyInput(inputs)
    const { outHeight, outWidth } = slide(attrs, input)
    return [outHeight, outWidth, channelsOf(input)]
  },

  parameters(attrs, inputs) {
    const channels = channelsOf(onlyInput(inputs))
    return [
      { name: 'weight', shape: [channels, 1, ...attrs.kernel], layout: 'depthwise', kind: 'weight', initial: 'random' },
      ...(attrs.bias ? [{ name: 'bias', shape: [channels], layout: 'vector', kind: 'bias', initial: 0 } as const] : []),
    ]
  },

  cost(attrs, inputs) {
    const input = onlyInput(inputs)
    const { outHeight, outWidth } = slide(attrs, input)
    return outHeight * outWidth * channelsOf(input) * attrs.kernel[0] * attrs.kernel[1]
  },

  forward(attrs, record) {
    const input = firstInput(record)
    const [outHeight] = record.output.shape
    const table = record.table(geometry(attrs, input.shape, channelsOf(input.shape)))
    record.flow(
      { rows: rowsOf(record.output.shape), reach: reachOf(attrs, input.shape) },
      'depthwiseForward',
      [
        input.place,
        record.parameter('weight'),
        record.output.place,
        record.bias,
        ACTIVATION_CODES[record.activation],
        table,
      ],
      { perImage: outHeight ?? 1 },
    )
  },

  // The gradient of the weight normalises the rows that a row of outputs needs in scratch memory.
  normalises(attrs, inputs) {
    const { height, width, channels } = imageShape(onlyInput(inputs))
    const rows = Math.min(height, (attrs.kernel[0] - 1) * (attrs.dilation?.[0] ?? 1) + 1)
    return rows * width * paddedChannels(channels) * 4 <= SCRATCH_BYTES
  },

  backward(attrs, record) {
    const input = firstInput(record)
    const channels = channelsOf(input.shape)
    const groups = paddedChannels(channels) / 4
    const table = record.table(geometry(attrs, input.shape, channels))
    const dBias = attrs.bias ? record.gradient('bias') : undefined
    if (dBias)
      record.aside('sumRows', [record.dOutput, groups * 4, { perImage: pixelsOf(record.output.shape) }, dBias], groups)
    const dWeight = record.gradient('weight')
    if (dWeight) {
      record.aside(
        'depthwiseBackwardWeight',
        [
          input.place,
          input.pending?.scaleShift ?? 0,
          ACTIVATION_CODES[input.pending?.activation ?? 'none'],
          record.dOutput,
          dWeight,
          { perImage: 1 },
          table,
          SCRATCH,
        ],
        groups,
      )
    }
    const dInput = record.dInput(0)
    if (dInput) {
      const { height } = imageShape(input.shape)
      record.flow(
        { rows: height, reach: reachBack(attrs, input.shape) },
        'depthwiseBackwardInput',
        [record.dOutput, record.parameter('weight'), dInput.place, table, dInput.accumulate],
        { perImage: height },
      )
    }
  },
})
