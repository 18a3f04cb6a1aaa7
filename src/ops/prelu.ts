import { channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf } from './op.ts'

export interface PreluAttributes {
  /** One slope for all channels instead of one for each. */
  readonly shared?: boolean
}

/** PyTorch's start, from the paper. */
const FIRST_SLOPE = 0.25

/**
 * y = x, or weight·x below 0, with a weight that is learnt.   weight: [channels], or [1] when shared
 * @see He et al. 2015, https://arxiv.org/abs/1502.01852
 */
export const prelu = defineOp<PreluAttributes>({
  shape: (_attrs, inputs) => onlyInput(inputs),

  parameters(attrs, inputs) {
    const shape = [attrs.shared ? 1 : channelsOf(onlyInput(inputs))]
    return [{ name: 'weight', shape, layout: 'vector', kind: 'slope', initial: FIRST_SLOPE }]
  },

  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(attrs, record) {
    const { place, shape } = firstInput(record)
    const stride = paddedChannels(channelsOf(shape))
    record.call(
      'preluForward',
      [place, record.parameter('weight'), record.output.place, stride, attrs.shared ? 1 : 0],
      { perImage: pixelsOf(shape) },
    )
  },

  backward(attrs, record) {
    const { place, shape } = firstInput(record)
    const stride = paddedChannels(channelsOf(shape))
    const shared = attrs.shared ? 1 : 0
    const rows = { perImage: pixelsOf(shape) }
    const dWeight = record.gradient('weight')
    if (dWeight) {
      const units = attrs.shared ? 1 : stride / 4
      record.call('preluBackwardWeight', [place, record.dOutput, dWeight, stride, rows, shared], units)
    }
    const dInput = record.dInputInPlace(0)
    if (dInput) {
      record.call(
        'preluBackwardInput',
        [place, record.parameter('weight'), record.dOutput, dInput.place, stride, shared, dInput.accumulate],
        rows,
      )
    }
  },
})
