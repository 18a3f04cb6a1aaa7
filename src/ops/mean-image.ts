import { channelsOf, defineOp, firstInput, imageShape, onlyInput, paddedChannels, pixelsOf } from './op.ts'

/**
 * y = x - mean, a picture that was computed once and never trains: the mean of the training pictures.
 * x: [N, H, W, C]  mean: [C, H, W] in files
 */
export const meanImage = defineOp<Record<string, never>>({
  shape(_attrs, inputs) {
    const input = onlyInput(inputs)
    imageShape(input)
    return input
  },

  parameters(_attrs, inputs) {
    const { height, width, channels } = imageShape(onlyInput(inputs))
    return [{ name: 'mean', shape: [channels, height, width], layout: 'image', kind: 'statistic', initial: 0 }]
  },

  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(_attrs, record) {
    const vectors = vectorsOf(record.output.shape)
    record.call('subtractImage', [firstInput(record).place, record.parameter('mean'), record.output.place, vectors], {
      perImage: vectors,
    })
  },

  backward(_attrs, record) {
    const dInput = record.dInputInPlace(0)
    if (!dInput || (!dInput.accumulate && dInput.place === record.dOutput)) return
    record.call('activationBackward', [record.output.place, record.dOutput, dInput.place, 0, dInput.accumulate], {
      perImage: vectorsOf(record.output.shape),
    })
  },
})

function vectorsOf(shape: readonly number[]): number {
  return (pixelsOf(shape) * paddedChannels(channelsOf(shape))) / 4
}
