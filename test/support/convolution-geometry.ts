import type { Convolution } from '../reference/convolution.ts'
import { padded } from './dense-data.ts'

/** The fifteen integers that the kernels read. */
export function geometryOf(shape: Convolution): number[] {
  const { H, W, C, OH, OW, O, kernel, stride, padTop, padLeft, dilation } = shape
  return [H, W, C, padded(C), OH, OW, padded(O), ...kernel, ...stride, padTop, padLeft, ...dilation]
}
