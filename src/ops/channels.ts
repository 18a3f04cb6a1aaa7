import type { Shape } from '../tensor/shape.ts'
import {
  type BackwardRecorder,
  channelsOf,
  defineOp,
  type ForwardRecorder,
  firstInput,
  onlyInput,
  type Place,
  paddedChannels,
  pixelsOf,
  rowsOf,
} from './op.ts'

/** The channels of all inputs one after the other. */
export const concat = defineOp<Record<string, never>>({
  shape(_attrs, inputs) {
    const [first] = inputs
    if (first === undefined) throw new Error('expected inputs, got none')
    const places = first.slice(0, -1)
    const other = inputs.find((input) => input.slice(0, -1).join() !== places.join())
    if (other !== undefined) throw new Error(`cannot join [${first.join(', ')}] and [${other.join(', ')}]`)
    return [...places, inputs.reduce((sum, input) => sum + channelsOf(input), 0)]
  },
  parameters: () => [],
  cost: (_attrs, inputs) => inputs.reduce((sum, input) => sum + pixelsOf(input) * channelsOf(input), 0),

  forward(_attrs, record) {
    const { place, shape } = record.output
    let from = 0
    for (const input of record.inputs) {
      copy(record, input.shape, { place: input.place, shape: input.shape }, { place: behind(place, from), shape })
      from += channelsOf(input.shape)
    }
    clear(record, place, shape)
  },

  backward(_attrs, record) {
    const { shape } = record.output
    let from = 0
    for (const [at, input] of record.inputs.entries()) {
      const dInput = record.dInput(at)
      if (dInput) {
        const target = { place: dInput.place, shape: input.shape }
        copy(record, input.shape, { place: behind(record.dOutput, from), shape }, target, dInput.accumulate)
        if (!dInput.accumulate) clear(record, dInput.place, input.shape)
      }
      from += channelsOf(input.shape)
    }
  },
})

export interface SliceAttributes {
  /** The first channel that is kept. */
  readonly from: number
  /** How many are. */
  readonly channels: number
}

/** Some channels, neighbours of each other. */
export const slice = defineOp<SliceAttributes>({
  shape({ from, channels }, inputs) {
    const input = onlyInput(inputs)
    const all = channelsOf(input)
    if (!Number.isInteger(from) || !Number.isInteger(channels) || from < 0 || channels < 1 || from + channels > all) {
      throw new Error(`${channels} channels from ${from} on cannot be taken from ${all}`)
    }
    return [...input.slice(0, -1), channels]
  },
  parameters: () => [],
  cost: ({ channels }, inputs) => pixelsOf(onlyInput(inputs)) * channels,

  forward({ from }, record) {
    const input = firstInput(record)
    const { place, shape } = record.output
    copy(record, shape, { place: behind(input.place, from), shape: input.shape }, { place, shape })
    clear(record, place, shape)
  },

  backward({ from }, record) {
    const dInput = record.dInput(0)
    if (!dInput) return
    const { shape: whole } = firstInput(record)
    const { shape } = record.output
    if (!dInput.accumulate) {
      record.flow({ rows: rowsOf(whole) }, 'fill', [dInput.place, 0], {
        perImage: (pixelsOf(whole) * paddedChannels(channelsOf(whole))) / 4,
      })
    }
    copy(record, shape, { place: record.dOutput, shape }, { place: behind(dInput.place, from), shape: whole }, 1)
  },
})

export interface ChannelShuffleAttributes {
  readonly groups: number
}

/**
 * y[i·groups + j] = x[j·C/groups + i]: the first channels of all groups, then the second ones.
 * @see Zhang et al. 2017, https://arxiv.org/abs/1707.01083
 */
export const channelShuffle = defineOp<ChannelShuffleAttributes>({
  shape({ groups }, inputs) {
    const input = onlyInput(inputs)
    const channels = channelsOf(input)
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
      throw new Error(`${channels} channels do not fall into ${groups} groups`)
    }
    return input
  },
  parameters: () => [],
  cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),

  forward({ groups }, record) {
    const { place, shape } = firstInput(record)
    shuffle(record, shape, place, record.output.place, groups, 0)
  },

  backward({ groups }, record) {
    const { shape } = firstInput(record)
    const dInput = record.dInput(0)
    if (!dInput) return
    shuffle(record, shape, record.dOutput, dInput.place, channelsOf(shape) / groups, dInput.accumulate)
  },
})

function shuffle(
  record: ForwardRecorder | BackwardRecorder,
  shape: Shape,
  x: Place,
  y: Place,
  groups: number,
  accumulate: 0 | 1,
): void {
  const channels = channelsOf(shape)
  record.flow(
    { rows: rowsOf(shape) },
    'shuffleChannels',
    [x, y, channels, paddedChannels(channels), groups, accumulate],
    {
      perImage: pixelsOf(shape),
    },
  )
}

/** Channels at a place, and the shape of the value that they lie in. */
interface Channels {
  readonly place: Place
  readonly shape: Shape
}

/** Copies, or adds, as many channels as `part` has. */
function copy(
  record: ForwardRecorder | BackwardRecorder,
  part: Shape,
  source: Channels,
  target: Channels,
  accumulate: 0 | 1 = 0,
): void {
  record.flow(
    { rows: rowsOf(part) },
    'copyChannels',
    [
      source.place,
      target.place,
      channelsOf(part),
      paddedChannels(channelsOf(source.shape)),
      paddedChannels(channelsOf(target.shape)),
      accumulate,
    ],
    { perImage: pixelsOf(part) },
  )
}

/** Zeros behind the channels. */
function clear(record: ForwardRecorder | BackwardRecorder, place: Place, shape: Shape): void {
  const channels = channelsOf(shape)
  const stride = paddedChannels(channels)
  if (channels === stride) return
  record.flow({ rows: rowsOf(shape) }, 'clearPadding', [place, channels, stride], { perImage: pixelsOf(shape) })
}

function behind({ block, offsetBytes }: Place, channels: number): Place {
  return { block, offsetBytes: offsetBytes + channels * 4 }
}
