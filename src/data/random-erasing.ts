import { exp, log } from '../exact-math.ts'
import type { RandomStream } from '../random.ts'
import { type Preprocessing, roundHalfToEven } from './preprocessing.ts'

// timm's limits: share of the picture's area, and how slanted a box may be.
const AREAS = [0.02, 1 / 3] as const
const SLANTS = [log(0.3), log(1 / 0.3)] as const
const MOST_ATTEMPTS = 10

/**
 * Fills a random box of the picture with the mean colour of the model, which the network sees as zeros but for rounding to bytes: timm's
 * random erasing in its mode `const`.
 * @param bytes        RGB, as the network gets them
 * @param probability  of a box at all
 * @returns            the picture itself where nothing is erased, else a changed copy
 * @see Zhong et al. 2017, https://arxiv.org/abs/1708.04896
 */
export function randomErasing(
  bytes: Uint8Array,
  { width, height, mean }: Pick<Preprocessing, 'width' | 'height' | 'mean'>,
  probability: number,
  random: RandomStream,
): Uint8Array {
  if (random.uniform() >= probability) return bytes
  const between = ([low, high]: readonly [number, number]) => low + (high - low) * random.uniform()
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const area = between(AREAS) * width * height
    const slant = exp(between(SLANTS))
    const boxHeight = roundHalfToEven(Math.sqrt(area * slant))
    const boxWidth = roundHalfToEven(Math.sqrt(area / slant))
    if (boxWidth < 1 || boxHeight < 1 || boxWidth >= width || boxHeight >= height) continue
    const top = random.integer(height - boxHeight + 1)
    const left = random.integer(width - boxWidth + 1)
    const erased = bytes.slice()
    const colour = mean.map((value) => Math.round(Math.min(Math.max(value, 0), 1) * 255))
    for (let y = top; y < top + boxHeight; y++) {
      for (let x = left; x < left + boxWidth; x++) erased.set(colour, (y * width + x) * 3)
    }
    return erased
  }
  return bytes
}
