import { channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf } from './op.ts'

/** y = e^x / sum e^x over the channels of each position. */
export const softmax = defineOp<Record<string, never>>({
  shape: (_attrs, inputs) => onlyInput(inputs),
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape)
    record.call('softmax', [place, record.output.place, channels, paddedChannels(channels)], {
      perImage: pixelsOf(shape),
    })
  },

  backward(_attrs, record) {
    const { place, shape } = record.output
    const dInput = record.dInputInPlace(0)
    if (!dInput) return
    record.call(
      'softmaxBackward',
      [place, record.dOutput, dInput.place, paddedChannels(channelsOf(shape)), dInput.accumulate],
      { perImage: pixelsOf(shape) },
    )
  },
})

/** The logarithm of softmax, exact also where softmax is 0. */
export const logSoftmax = defineOp<Record<string, never>>({
  shape: (_attrs, inputs) => onlyInput(inputs),
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape)
    record.call('logSoftmax', [place, record.output.place, channels, paddedChannels(channels)], {
      perImage: pixelsOf(shape),
    })
  },

  backward(_attrs, record) {
    const { place, shape } = record.output
    const channels = channelsOf(shape)
    const dInput = record.dInputInPlace(0)
    if (!dInput) return
    record.call(
      'logSoftmaxBackward',
      [place, record.dOutput, dInput.place, channels, paddedChannels(channels), dInput.accumulate],
      { perImage: pixelsOf(shape) },
    )
  },
})
