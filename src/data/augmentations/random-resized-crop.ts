import { exp, log } from '../../exact-math.ts'
import type { RandomStream } from '../../random.ts'
import type { Box } from '../pixels.ts'
import { roundHalfToEven } from '../preprocessing.ts'

/** How large and how slanted a crop may be. */
export interface CropRange {
  /** Share of the picture's area, from 0 to 1. */
  readonly scale: readonly [number, number]
  /** Width divided by height. */
  readonly ratio: readonly [number, number]
}

/**
 * A box of random area and aspect that lies in the picture: the first of ten draws that fits, else the largest in the
 * middle whose aspect is allowed.
 * @see torchvision RandomResizedCrop; Szegedy et al. 2015, https://arxiv.org/abs/1409.4842
 */
export function randomResizedCrop(
  imageWidth: number,
  imageHeight: number,
  range: CropRange,
  stream: RandomStream,
): Box {
  const area = imageWidth * imageHeight
  const [smallest, largest] = range.scale
  const [narrowest, widest] = range.ratio
  for (let attempt = 0; attempt < 10; attempt++) {
    const target = area * between(smallest, largest, stream)
    const ratio = exp(between(log(narrowest), log(widest), stream))
    const width = roundHalfToEven(Math.sqrt(target * ratio))
    const height = roundHalfToEven(Math.sqrt(target / ratio))
    if (width < 1 || height < 1 || width > imageWidth || height > imageHeight) continue
    const top = stream.integer(imageHeight - height + 1)
    const left = stream.integer(imageWidth - width + 1)
    return { left, top, width, height }
  }
  const ratio = imageWidth / imageHeight
  const width = ratio > widest ? Math.max(1, roundHalfToEven(imageHeight * widest)) : imageWidth
  const height = ratio < narrowest ? Math.max(1, roundHalfToEven(imageWidth / narrowest)) : imageHeight
  return { left: Math.floor((imageWidth - width) / 2), top: Math.floor((imageHeight - height) / 2), width, height }
}

function between(low: number, high: number, stream: RandomStream): number {
  return low + (high - low) * stream.uniform()
}
