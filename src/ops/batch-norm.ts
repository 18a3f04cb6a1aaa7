import {
  ACTIVATION_CODES,
  channelsOf,
  defineOp,
  type FusedActivation,
  firstInput,
  onlyInput,
  type Place,
  paddedChannels,
  pixelsOf,
  type Recorder,
} from './op.ts'

export interface BatchNormAttributes {
  readonly epsilon: number
  /** PyTorch's meaning: running = (1 - momentum)·running + momentum·batch. */
  readonly momentum: number
  /** Applied after scale and shift. */
  readonly activation?: FusedActivation
}

/** Rows whose sums are taken together; fixed, so that results do not depend on threads. */
const BLOCK_ROWS = 256

/**
 * y = act((x - mean) / sqrt(var + epsilon) · weight + bias), per channel.
 * @see Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167
 */
export const batchNorm = defineOp<BatchNormAttributes>({
  shape: (_attrs, inputs) => onlyInput(inputs),

  parameters(_attrs, inputs) {
    const shape = [channelsOf(onlyInput(inputs))]
    return [
      { name: 'weight', shape, layout: 'vector', kind: 'norm', initial: 1 },
      { name: 'bias', shape, layout: 'vector', kind: 'norm', initial: 0 },
      { name: 'running_mean', shape, layout: 'vector', kind: 'statistic', initial: 0 },
      { name: 'running_var', shape, layout: 'vector', kind: 'statistic', initial: 1 },
    ]
  },

  cost: (_attrs, inputs) => {
    const input = onlyInput(inputs)
    return pixelsOf(input) * channelsOf(input)
  },

  forward(attrs, record) {
    const input = firstInput(record)
    const stride = paddedChannels(channelsOf(input.shape))
    const pixels = pixelsOf(input.shape)
    const activation = ACTIVATION_CODES[attrs.activation ?? 'none']
    const groups = stride / 4
    const parameters = [
      record.parameter('weight'),
      record.parameter('bias'),
      record.parameter('running_mean'),
      record.parameter('running_var'),
    ] as const
    const { scaleShift, saved } = places(record, stride)
    if (record.batchStatistics) {
      const partials = record.temporary('partial statistics', (Math.ceil(pixels / BLOCK_ROWS) + 1) * stride * 8)
      const rows = { perImage: pixels }
      record.call('batchNormStatistics', [input.place, stride, rows, partials], {
        perImage: pixels,
        blockRows: BLOCK_ROWS,
      })
      record.call(
        'batchNormFinish',
        [partials, rows, stride, ...parameters, attrs.momentum, attrs.epsilon, 1, scaleShift, saved],
        groups,
      )
    } else if (record.parametersFixed) {
      record.constantCall('batchNormFixed', [...parameters, stride, attrs.epsilon, scaleShift, saved], groups)
    } else {
      record.call('batchNormFixed', [...parameters, stride, attrs.epsilon, scaleShift, saved], groups)
    }
    record.call('scaleShift', [input.place, record.output.place, stride, scaleShift, activation], { perImage: pixels })
  },

  backward(attrs, record) {
    const input = firstInput(record)
    const stride = paddedChannels(channelsOf(input.shape))
    const pixels = pixelsOf(input.shape)
    const activation = ACTIVATION_CODES[attrs.activation ?? 'none']
    const dWeight = record.gradient('weight') ?? 0
    const dBias = record.gradient('bias') ?? 0
    const { saved } = places(record, stride)
    const partials = record.temporary('partial gradients', (Math.ceil(pixels / BLOCK_ROWS) + 1) * stride * 8)
    const coefficients = record.temporary('coefficients', stride * 16, 'fixed')
    const reduce = record.batchStatistics || dWeight !== 0 || dBias !== 0
    const rows = { perImage: pixels }
    if (reduce) {
      record.call(
        'batchNormReduce',
        [input.place, record.output.place, record.dOutput, stride, rows, saved, activation, partials],
        { perImage: pixels, blockRows: BLOCK_ROWS },
      )
    }
    record.call(
      'batchNormBackwardFinish',
      [
        partials,
        reduce ? rows : 0,
        stride,
        record.parameter('weight'),
        saved,
        dWeight,
        dBias,
        coefficients,
        record.batchStatistics ? 1 : 0,
      ],
      stride / 4,
    )
    const dInput = record.dInputInPlace(0)
    if (dInput) {
      record.call(
        'batchNormBackwardInput',
        [
          input.place,
          record.output.place,
          record.dOutput,
          dInput.place,
          stride,
          coefficients,
          activation,
          dInput.accumulate,
        ],
        rows,
      )
    }
  },
})

/** Scale and shift, and mean and 1/sqrt(var + epsilon): made once where nothing about the layer changes, else in each step. */
function places(record: Recorder, stride: number): { scaleShift: Place; saved: Place } {
  const once = record.parametersFixed && !record.batchStatistics
  const place = (name: string) => (once ? record.constant(name, stride * 8) : record.kept(name, stride * 8, 'fixed'))
  return { scaleShift: place('scale and shift'), saved: place('statistics') }
}
