import { SCRATCH } from '../kernels/program.ts'
import { type DroppingAttributes, droppedArguments } from './dropping.ts'
import {
  ACTIVATION_CODES,
  channelsOf,
  defineOp,
  firstInput,
  onlyInput,
  type Place,
  paddedChannels,
  pixelsOf,
  type Recorder,
} from './op.ts'

export interface LinearAttributes {
  readonly outFeatures: number
  readonly bias?: boolean
  /**
   * Weights that each step of a training leaves out, the same for all its pictures.
   * @see Wan et al. 2013, "Regularization of neural networks using DropConnect", https://proceedings.mlr.press/v28/wan13.html
   */
  readonly dropConnect?: DroppingAttributes
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
    let source: Place | undefined
    if (attrs.dropConnect) {
      source = keptWeights(record, attrs.outFeatures, features)
      dropWeights(record, attrs.dropConnect, columns * features, record.parameter('weight'), source, 0)
    }
    const packed = record.packed('weight', features, columns, source)
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
        SCRATCH,
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
    const { dropConnect } = attrs
    const length = columns * features
    if (dWeight) {
      // The gradient of a weight that was left out is left out too, so it has to be known by itself.
      const sum = dropConnect ? record.temporary('gradient of the weights', length * 4, 'fixed') : dWeight
      if (dropConnect) record.call('fill', [sum, 0], length / 4)
      const multiply = dropConnect ? record.call : record.aside
      multiply(
        'matmulTransposed',
        [
          input.place,
          paddedChannels(features),
          0,
          0,
          record.dOutput,
          columns,
          sum,
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
      if (dropConnect) dropWeights(record, dropConnect, length, sum, dWeight, 1)
    }
    const dInput = record.dInput(0)
    if (dInput) {
      const stride = paddedChannels(features)
      const source = dropConnect ? keptWeights(record, attrs.outFeatures, features) : undefined
      const packed = record.packedTransposed('weight', attrs.outFeatures, stride, source)
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
          SCRATCH,
        ],
        rows,
      )
    }
  },
})

/** Where the weights of this step lie. */
function keptWeights(record: Recorder, outFeatures: number, features: number): Place {
  return record.kept('weights of the step', paddedChannels(outFeatures) * features * 4, 'fixed')
}

/** @param length  values of the weights in memory */
function dropWeights(
  record: Recorder,
  attrs: DroppingAttributes,
  length: number,
  from: Place,
  to: Place,
  accumulate: 0 | 1,
): void {
  const where = { from, to, keys: record.keys('step'), vectors: length / 4, together: false, accumulate }
  record.call('dropout', droppedArguments(attrs, where), length / 4)
}
