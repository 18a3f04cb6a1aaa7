import type { Shape } from '../tensor/shape.ts'
import { channelsOf, defineOp, firstInput, onlyInput, paddedChannels, pixelsOf } from './op.ts'

type NoAttributes = Record<string, never>

/** Numbers of one picture in memory. */
function stored(shape: Shape): number {
  return pixelsOf(shape) * paddedChannels(channelsOf(shape))
}

const each = { perImage: 1 } as const

/**
 * The pixels of a picture as a row of tokens, behind one that is learnt and has the name of the layer itself.
 * [H, W, C] to [1 + H·W, C]   weight: [1, 1, C]
 */
export const classToken = defineOp<NoAttributes>({
  shape(_attrs, inputs) {
    const input = onlyInput(inputs)
    return [1 + pixelsOf(input), channelsOf(input)]
  },
  parameters: (_attrs, inputs) => [
    { name: '', shape: [1, 1, channelsOf(onlyInput(inputs))], layout: 'rows', kind: 'weight', initial: 'random' },
  ],
  cost: () => 0,

  forward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const { block, offsetBytes } = record.output.place
    const [all, part, token] = [stored(record.output.shape), stored(shape), paddedChannels(channelsOf(shape))]
    // The same token for every picture: rows that do not move on.
    record.call('copyChannels', [record.parameter(''), record.output.place, token, 0, all, 0], each)
    const behind = { block, offsetBytes: offsetBytes + token * 4 }
    record.call('copyChannels', [place, behind, part, part, all, 0], each)
  },

  backward(_attrs, record) {
    const { shape } = firstInput(record)
    const { block, offsetBytes } = record.dOutput
    const [all, part, token] = [stored(record.output.shape), stored(shape), paddedChannels(channelsOf(shape))]
    const dWeight = record.gradient('')
    if (dWeight) record.call('sumRows', [record.dOutput, all, each, dWeight], token / 4)
    const dInput = record.dInput(0)
    if (!dInput) return
    const behind = { block, offsetBytes: offsetBytes + token * 4 }
    record.call('copyChannels', [behind, dInput.place, part, all, part, dInput.accumulate], each)
  },
})

/** y = x + weight, where each token has numbers of its own. They have the name of the layer itself.   weight: [1, T, C] */
export const positions = defineOp<NoAttributes>({
  shape(_attrs, inputs) {
    const input = onlyInput(inputs)
    if (input.length !== 2) throw new Error(`expected rows of tokens, got [${input.join(', ')}]`)
    return input
  },
  parameters: (_attrs, inputs) => [
    { name: '', shape: [1, ...onlyInput(inputs)], layout: 'rows', kind: 'weight', initial: 'random' },
  ],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const all = stored(shape)
    record.call('copyChannels', [place, record.output.place, all, all, all, 0], each)
    record.call('copyChannels', [record.parameter(''), record.output.place, all, 0, all, 1], each)
  },

  backward(_attrs, record) {
    const all = stored(record.output.shape)
    const dWeight = record.gradient('')
    if (dWeight) record.call('sumRows', [record.dOutput, all, each, dWeight], all / 4)
    const dInput = record.dInputInPlace(0)
    if (dInput && (dInput.accumulate || dInput.place !== record.dOutput)) {
      record.call('copyChannels', [record.dOutput, dInput.place, all, all, all, dInput.accumulate], each)
    }
  },
})

/** The first token alone: [T, C] to [C]. */
export const firstToken = defineOp<NoAttributes>({
  shape(_attrs, inputs) {
    const input = onlyInput(inputs)
    if (input.length !== 2) throw new Error(`expected rows of tokens, got [${input.join(', ')}]`)
    return [channelsOf(input)]
  },
  parameters: () => [],
  cost: () => 0,

  forward(_attrs, record) {
    const { place, shape } = firstInput(record)
    const token = paddedChannels(channelsOf(shape))
    record.call('copyChannels', [place, record.output.place, token, stored(shape), token, 0], each)
  },

  backward(_attrs, record) {
    const { shape } = firstInput(record)
    const dInput = record.dInput(0)
    if (!dInput) return
    const token = paddedChannels(channelsOf(shape))
    if (!dInput.accumulate) record.call('fill', [dInput.place, 0], { perImage: stored(shape) / 4 })
    record.call('copyChannels', [record.dOutput, dInput.place, token, token, stored(shape), 1], each)
  },
})
