// What training leaves out at random, value by value: the same choice as the kernel's, from the same keys.
import { type DroppingAttributes, scaleOf, thresholdOf } from '../ops/dropping.ts'
import { channelsOf, paddedChannels, pixelsOf } from '../ops/op.ts'
import type { Shape } from '../tensor/shape.ts'

/** What decides a step's choices: two integers for each picture, and two for the step. */
export interface DropKeys {
  readonly pictures: ArrayLike<number>
  readonly step: ArrayLike<number>
}

/** Whether a value is kept. @param index  among the values of its picture as they lie in memory, padding counted */
export function isKept(keys: readonly [number, number], index: number, { rate, salt }: DroppingAttributes): boolean {
  return mixed((mixed((index + keys[0]) | 0) + (keys[1] ^ salt)) | 0) >>> 0 >= thresholdOf(rate)
}

/**
 * Values with what is left out at 0, and the rest enlarged. Its gradient is the same of the gradient.
 * @param x         [images, …shape]
 * @param together  pictures are kept or left out as a whole
 */
export function dropped(
  x: Float64Array,
  shape: Shape,
  attrs: DroppingAttributes,
  keys: ArrayLike<number>,
  together: boolean,
): Float64Array {
  const channels = channelsOf(shape)
  const values = channels * pixelsOf(shape)
  return x.map((value, at) => {
    const picture = Math.floor(at / values)
    const [row, channel] = [Math.floor((at % values) / channels), at % channels]
    const index = together ? 0 : row * paddedChannels(channels) + channel
    return isKept(keyOf(keys, picture), index, attrs) ? value * scaleOf(attrs.rate) : 0
  })
}

/** Weights [O, I] as the step has them, or their gradient with what belongs to them. */
export function droppedWeights(
  weights: Float64Array,
  outFeatures: number,
  attrs: DroppingAttributes,
  keys: ArrayLike<number>,
): Float64Array {
  const features = weights.length / outFeatures
  const key = keyOf(keys, 0)
  return weights.map((weight, at) => {
    // In memory they lie transposed, and their rows are padded.
    const index = (at % features) * paddedChannels(outFeatures) + Math.floor(at / features)
    return isKept(key, index, attrs) ? weight * scaleOf(attrs.rate) : 0
  })
}

function keyOf(keys: ArrayLike<number>, at: number): readonly [number, number] {
  return [keys[2 * at] ?? Number.NaN, keys[2 * at + 1] ?? Number.NaN]
}

function mixed(given: number): number {
  let x = given
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
