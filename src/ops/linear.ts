import { SCRATCH } from '../kernels/program.ts'
import { ACTIVATION_CODES, channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf } from './op.ts'

export interface LinearAttributes {
  readonly outFeatures: number
  readonly bias?: boolean
}

/** y = x·Wᵀ + b.   x: [N, I]   weight: [O, I]   bias: [O]   y: [N, O] */
export const linear = defineOp<LinearAttributes>({
  shape: (attrs, inputs) => [...onlyInput(inputs).slice(0, -1), attrs.outFeatures],

  parameters(attrs, inputs) {
    const features = channelsOf(onlyInput(inputs))
    return [
      { name: 'weight', shape: [attrs.outFeatures, features], layout: 'linear', kind: 'weight', initial: 'random' },
      ...(attrs.bias
        ? [{ name: 'bias', shape: [attrs.outFeatures], layout: 'vector', kind: 'bias', initial: 0 } as const]
        : []),
    ]
  },

  cost: (attrs, inputs) => {
    const input = onlyInput(inputs)
    return pixelsOf(input) * channelsOf(input) * attrs.outFeatures
  },

  forward(attrs, record) {
    const input = firstInput(record)
    const features = channelsOf(input.shape)
    const columns = paddedChannels(attrs.outFeatures)
    const packed = record.packed('weight', features, columns)
    record.call(
      'matmul',
      [
        input.place,
        paddedChannels(features),
        packed,
        record.output.place,
        columns,
        columns,
        features,
        record.bias,
        record.residual,
        ACTIVATION_CODES[record.activation],
      ],
      { perImage: pixelsOf(input.shape) },
    )
  },

  backward(attrs, record) {
    const input = firstInput(record)
    const features = channelsOf(input.shape)
    const columns = paddedChannels(attrs.outFeatures)
    const rows = { perImage: pixelsOf(input.shape) }
    const dBias = attrs.bias ? record.gradient('bias') : undefined
    if (dBias) record.aside('sumRows', [record.dOutput, columns, rows, dBias], columns / 4)
    const dWeight = record.gradient('weight')
    if (dWeight) {
      record.aside(
        'matmulTransposed',
        [
          input.place,
          paddedChannels(features),
          0,
          0,
          record.dOutput,
          columns,
          dWeight,
          columns,
          rows,
          features,
          columns,
          0,
          SCRATCH,
        ],
        features,
        4,
      )
    }
    const dInput = record.dInput(0)
    if (dInput) {
      const stride = paddedChannels(features)
      const packed = record.packedTransposed('weight', attrs.outFeatures, stride)
      record.call(
        'matmul',
        [
          record.dOutput,
          columns,
          packed,
          dInput.place,
          stride,
          stride,
          attrs.outFeatures,
          0,
          dInput.accumulate ? dInput.place : 0,
          0,
        ],
        rows,
      )
    }
  },
})
