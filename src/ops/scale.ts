import { channelsOf, defineOp, onlyInput, paddedChannels, pixelsOf, rowsOf } from './op.ts'

/** More pixels than there are: one row of numbers for all. */
const ALL = 2 ** 31 - 1

/**
 * y = x·s, a number for each channel of each picture: the gates of squeeze and excitation.   x: [N, H, W, C]   s: [N, C] or [N, 1, 1, C]
 * @see Hu et al. 2017, https://arxiv.org/abs/1709.01507
 */
export const scale = defineOp<Record<string, never>>({
  shape(_attrs, inputs) {
    const [x, s] = inputs
    if (x === undefined || s === undefined || inputs.length !== 2)
      throw new Error(`expected two inputs, got ${inputs.length}`)
    if (pixelsOf(s) !== 1 || channelsOf(s) !== channelsOf(x))
      throw new Error(`cannot scale [${x.join(', ')}] by [${s.join(', ')}]`)
    return x
  },
  parameters: () => [],
  cost: (_attrs, inputs) => (inputs[0] ? pixelsOf(inputs[0]) * channelsOf(inputs[0]) : 0),

  forward(_attrs, record) {
    const [x, s] = record.inputs
    if (!x || !s) throw new Error('scale has two inputs')
    const pixels = pixelsOf(x.shape)
    record.flow(
      { rows: rowsOf(x.shape) },
      'scaleImages',
      [x.place, s.place, record.output.place, pixels, paddedChannels(channelsOf(x.shape)), 0],
      { perImage: pixels },
    )
  },

  backward(_attrs, record) {
    const [x, s] = record.inputs
    if (!x || !s) throw new Error('scale has two inputs')
    const pixels = pixelsOf(x.shape)
    const stride = paddedChannels(channelsOf(x.shape))
    const dScale = record.dInput(1)
    if (dScale) {
      record.call('scaleImagesGradient', [x.place, record.dOutput, dScale.place, pixels, stride, dScale.accumulate], {
        perImage: 1,
      })
    }
    const dInput = record.dInputInPlace(0)
    if (dInput) {
      record.flow(
        { rows: rowsOf(x.shape) },
        'scaleImages',
        [record.dOutput, s.place, dInput.place, pixels, stride, dInput.accumulate],
        { perImage: pixels },
      )
    }
  },
})

export interface LayerScaleAttributes {
  /** What the weight begins as; small, so that a residual branch counts little at first. */
  readonly initial: number
}

/**
 * y = x·weight, per channel. Its parameter has the name of the layer itself.   weight: [C]
 * @see Touvron et al. 2021, https://arxiv.org/abs/2103.17239
 */
export const layerScale = defineOp<LayerScaleAttributes>({
  shape: (_attrs, inputs) => onlyInput(inputs),
  parameters: ({ initial }, inputs) => [
    { name: '', shape: [channelsOf(onlyInput(inputs))], layout: 'vector', kind: 'norm', initial },
  ],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(_attrs, record) {
    const { place, shape } = record.inputs[0] ?? record.output
    const stride = paddedChannels(channelsOf(shape))
    record.flow({ rows: rowsOf(shape) }, 'scaleChannels', [place, record.output.place, stride, record.parameter('')], {
      perImage: pixelsOf(shape),
    })
  },

  backward(_attrs, record) {
    const { place, shape } = record.inputs[0] ?? record.output
    const stride = paddedChannels(channelsOf(shape))
    const rows = { perImage: pixelsOf(shape) }
    const dWeight = record.gradient('')
    if (dWeight) record.call('productSums', [place, record.dOutput, dWeight, stride, rows], stride / 4)
    const dInput = record.dInputInPlace(0)
    if (dInput) {
      record.flow(
        { rows: rowsOf(shape) },
        'scaleImages',
        [record.dOutput, record.parameter(''), dInput.place, ALL, stride, dInput.accumulate],
        rows,
      )
    }
  },
})
