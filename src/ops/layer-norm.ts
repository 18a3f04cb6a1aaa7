import { channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf, type Recorder, rowsOf } from './op.ts'

export interface LayerNormAttributes {
  readonly epsilon: number
}

/**
 * y = (x - mean) / sqrt(var + epsilon)·weight + bias, over the channels of each pixel.   weight, bias: [C]
 * @see Ba et al. 2016, https://arxiv.org/abs/1607.06450
 */
export const layerNorm = defineOp<LayerNormAttributes>({
  shape: (_attrs, inputs) => onlyInput(inputs),

  parameters(_attrs, inputs) {
    const shape = [channelsOf(onlyInput(inputs))]
    return [
      { name: 'weight', shape, layout: 'vector', kind: 'norm', initial: 1 },
      { name: 'bias', shape, layout: 'vector', kind: 'norm', initial: 0 },
    ]
  },

  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward({ epsilon }, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape)
    record.flow(
      { rows: rowsOf(shape) },
      'layerNormForward',
      [
        place,
        record.parameter('weight'),
        record.parameter('bias'),
        record.output.place,
        channels,
        paddedChannels(channels),
        epsilon,
        statistics(record),
      ],
      { perImage: pixelsOf(shape) },
    )
  },

  backward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape)
    const stride = paddedChannels(channels)
    const rows = { perImage: pixelsOf(shape) }
    const dWeight = record.gradient('weight') ?? 0
    const dBias = record.gradient('bias') ?? 0
    if (dWeight !== 0 || dBias !== 0) {
      record.call(
        'layerNormBackwardParameters',
        [place, record.dOutput, dWeight, dBias, stride, rows, statistics(record)],
        stride / 4,
      )
    }
    const dInput = record.dInputInPlace(0)
    if (dInput) {
      record.flow(
        { rows: rowsOf(shape) },
        'layerNormBackwardInput',
        [
          place,
          record.parameter('weight'),
          record.dOutput,
          dInput.place,
          channels,
          stride,
          statistics(record),
          dInput.accumulate,
        ],
        rows,
      )
    }
  },
})

/** Mean and 1/sqrt(var + epsilon) of each pixel. */
function statistics(record: Recorder) {
  return record.kept('statistics', pixelsOf(record.output.shape) * 8)
}
