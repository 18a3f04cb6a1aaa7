import type { Shape } from '../tensor/shape.ts'
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
  rowsOf,
} from './op.ts'

export interface BatchNormAttributes {
  readonly epsilon: number
  /** PyTorch's meaning: running = (1 - momentum)·running + momentum·batch. */
  readonly momentum: number
  /** Applied after scale and shift. */
  readonly activation?: FusedActivation
}

/** Most rows whose sums are taken together, and the fewest, where a picture has fewer. */
const MOST_ROWS = 256
const FEWEST_ROWS = 32

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
    const flow = { rows: rowsOf(input.shape) }
    const parameters = [
      record.parameter('weight'),
      record.parameter('bias'),
      record.parameter('running_mean'),
      record.parameter('running_var'),
    ] as const
    const { scaleShift, saved } = places(record, stride)
    if (record.batchStatistics) {
      const blockRows = blockOfRows(input.shape)
      const partials = record.temporary('partial statistics', Math.ceil(pixels / blockRows) * stride * 8)
      const rows = { perImage: pixels }
      record.flow(flow, 'batchNormStatistics', [input.place, stride, rows, blockRows, partials], {
        perImage: pixels,
        blockRows,
      })
      record.call(
        'batchNormFinish',
        [partials, rows, blockRows, stride, ...parameters, attrs.momentum, attrs.epsilon, 1, scaleShift, saved],
        groups,
      )
    } else if (record.parametersFixed) {
      record.constantCall('batchNormFixed', [...parameters, stride, attrs.epsilon, scaleShift, saved], groups)
    } else {
      record.call('batchNormFixed', [...parameters, stride, attrs.epsilon, scaleShift, saved], groups)
    }
    // Pictures of few pixels are summed up several at a time: too few pieces for many workers.
    const left = pixels >= FEWEST_ROWS && record.leave({ scaleShift, activation: attrs.activation ?? 'none' })
    if (!left) {
      const target = record.output.place
      record.flow(flow, 'scaleShift', [input.place, target, stride, scaleShift, activation], { perImage: pixels })
    }
  },

  backward(attrs, record) {
    const input = firstInput(record)
    const stride = paddedChannels(channelsOf(input.shape))
    const pixels = pixelsOf(input.shape)
    const activation = ACTIVATION_CODES[attrs.activation ?? 'none']
    const dWeight = record.gradient('weight') ?? 0
    const dBias = record.gradient('bias') ?? 0
    const { saved } = places(record, stride)
    const blockRows = blockOfRows(input.shape)
    const partials = record.temporary('partial gradients', Math.ceil(pixels / blockRows) * stride * 8)
    const coefficients = record.temporary('coefficients', stride * 24, 'fixed')
    const reduce = record.batchStatistics || dWeight !== 0 || dBias !== 0
    const rows = { perImage: pixels }
    const flow = { rows: rowsOf(input.shape) }
    if (reduce) {
      record.flow(
        flow,
        'batchNormReduce',
        [input.place, record.dOutput, stride, rows, blockRows, saved, activation, partials],
        { perImage: pixels, blockRows },
      )
    }
    record.call(
      'batchNormBackwardFinish',
      [
        partials,
        reduce ? rows : 0,
        blockRows,
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
      record.flow(
        flow,
        'batchNormBackwardInput',
        [input.place, record.dOutput, dInput.place, stride, coefficients, activation, dInput.accumulate],
        rows,
      )
    }
  },
})

/**
 * Rows of pixels whose sums are taken together: whole rows of a picture, so that blocks and pictures end together, or whole
 * pictures where they are small. It depends on the shape alone, so that results do not depend on threads.
 */
function blockOfRows(shape: Shape): number {
  const pixels = pixelsOf(shape)
  let images = 1
  while (images * pixels < FEWEST_ROWS) images *= 2
  if (pixels <= MOST_ROWS) return images * pixels
  const [height = 1] = shape
  let rows = 1
  for (let divisor = 2; divisor <= height; divisor++) {
    if (height % divisor === 0 && (divisor * pixels) / height <= MOST_ROWS) rows = divisor
  }
  return (rows * pixels) / height
}

/** Scale and shift, and the tables for backward: made once where nothing about the layer changes, else in each step. */
function places(record: Recorder, stride: number): { scaleShift: Place; saved: Place } {
  const once = record.parametersFixed && !record.batchStatistics
  const place = (name: string, bytes: number) =>
    once ? record.constant(name, bytes) : record.kept(name, bytes, 'fixed')
  return { scaleShift: place('scale and shift', stride * 8), saved: place('statistics', stride * 16) }
}
