import { channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf } from './op.ts'

export interface MaxoutAttributes {
  /** How many neighbouring channels compete for one of the output. */
  readonly pieces: number
}

/**
 * y[c] = the largest of x[pieces·c … pieces·c + pieces - 1]: after a linear layer the maximum of affine pieces.
 * @see Goodfellow et al. 2013, https://arxiv.org/abs/1302.4389
 */
export const maxout = defineOp<MaxoutAttributes>({
  shape({ pieces }, inputs) {
    const input = onlyInput(inputs)
    const channels = channelsOf(input)
    if (!Number.isInteger(pieces) || pieces < 1 || channels % pieces !== 0) {
      throw new Error(`${channels} channels cannot compete in groups of ${pieces}`)
    }
    return [...input.slice(0, -1), channels / pieces]
  },
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward({ pieces }, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape) / pieces
    record.call(
      'maxoutForward',
      [place, record.output.place, channels, paddedChannels(channels), pieces, paddedChannels(channelsOf(shape))],
      { perImage: pixelsOf(shape) },
    )
  },

  backward({ pieces }, record) {
    const { place, shape } = firstInput(record)
    const channels = channelsOf(shape) / pieces
    const dInput = record.dInput(0)
    if (!dInput) return
    record.call(
      'maxoutBackward',
      [
        place,
        record.dOutput,
        dInput.place,
        channels,
        paddedChannels(channels),
        pieces,
        paddedChannels(channelsOf(shape)),
        dInput.accumulate,
      ],
      { perImage: pixelsOf(shape) },
    )
  },
})
