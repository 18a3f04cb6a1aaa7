// Channels that are moved, and channels that are scaled, in float64.
import type { Layer } from '../graph/graph.ts'

/** For each output channel: which input it comes from, and which channel of it. */
export interface ChannelMap {
  readonly from: readonly (readonly [input: number, channel: number])[]
  /** Channels of each input. */
  readonly widths: readonly number[]
}

export function channelMap(layer: Extract<Layer, { op: 'concat' | 'slice' | 'channelShuffle' }>): ChannelMap {
  const widths = layer.inputShapes.map((shape) => shape.at(-1) ?? 1)
  const [width = 1] = widths
  switch (layer.op) {
    case 'concat':
      return {
        widths,
        from: widths.flatMap((size, input) => Array.from({ length: size }, (_, channel) => [input, channel] as const)),
      }
    case 'slice': {
      const { from, channels } = layer.attrs
      return { widths, from: Array.from({ length: channels }, (_, channel) => [0, from + channel] as const) }
    }
    case 'channelShuffle': {
      const { groups } = layer.attrs
      const place = (channel: number) => (channel % groups) * (width / groups) + Math.floor(channel / groups)
      return { widths, from: Array.from({ length: width }, (_, channel) => [0, place(channel)] as const) }
    }
  }
}

export function moveChannels(inputs: readonly Float64Array[], { from, widths }: ChannelMap): Float64Array {
  const rows = (inputs[0]?.length ?? 0) / (widths[0] ?? 1)
  const output = new Float64Array(rows * from.length)
  for (let row = 0; row < rows; row++) {
    for (const [at, [input, channel]] of from.entries()) {
      output[row * from.length + at] = inputs[input]?.[row * (widths[input] ?? 1) + channel] ?? Number.NaN
    }
  }
  return output
}

/** The gradients of the inputs. */
export function moveBack(
  dOutput: Float64Array,
  inputs: readonly Float64Array[],
  { from, widths }: ChannelMap,
): readonly Float64Array[] {
  const gradients = inputs.map(({ length }) => new Float64Array(length))
  for (let row = 0; row < dOutput.length / from.length; row++) {
    for (const [at, [input, channel]] of from.entries()) {
      const gradient = gradients[input]
      if (gradient) gradient[row * (widths[input] ?? 1) + channel] = dOutput[row * from.length + at] ?? Number.NaN
    }
  }
  return gradients
}

/** x times a row of factors for each group of its rows: one for each picture, or one for all. */
export function scaled(x: Float64Array, factors: Float64Array, groups: number): Float64Array {
  const width = factors.length / groups
  const each = x.length / groups
  return x.map((value, at) => value * (factors[Math.floor(at / each) * width + (at % width)] ?? Number.NaN))
}

/** The gradient of such factors. */
export function scaleGradient(x: Float64Array, dOutput: Float64Array, count: number, groups: number): Float64Array {
  const width = count / groups
  const each = x.length / groups
  const gradient = new Float64Array(count)
  for (const [at, value] of x.entries()) {
    const place = Math.floor(at / each) * width + (at % width)
    gradient[place] = (gradient[place] ?? 0) + value * (dOutput[at] ?? Number.NaN)
  }
  return gradient
}
