// Which algorithm serves which convolution. The choice is made by shape and direction alone, from rules that stand here, never by
// measuring at run time: the algorithms differ in the last bits. The rules hold for both builds of the kernels, which were measured
// from 3 to 512 channels and from 3x3 to 56x56 pixels.

/**
 * - `patches`: what the kernel sees from each output pixel as a row of a matrix, times the weight. Serves everything.
 * - `winograd`: 4x4 outputs at once by F(4x4, 3x3), a quarter of the multiplications; for 3x3 kernels with stride and dilation 1.
 */
export type ConvolutionAlgorithm = 'patches' | 'winograd'

/** A convolution in one direction: for the gradient of the input, input and output have changed places. */
export interface ConvolutionShape {
  readonly direction: 'forward' | 'backwardInput' | 'backwardWeight'
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly dilation: readonly [number, number]
  readonly groups: number
  readonly inChannels: number
  readonly outChannels: number
  readonly outHeight: number
  readonly outWidth: number
  /** Whether the weight stays as it is: then it is transformed once, else in each step. */
  readonly weightFixed: boolean
}

/** What Winograd's algorithm must save: it multiplies 36 times for every tile of 4x4 outputs, others 9 times for every output. */
const LEAST_SAVING = 1.5
/** The same where it also has to transform the weight, or its gradient, in each step, and outputs that make up for that. */
const LEAST_SAVING_PER_STEP = 2
const FEWEST_OUTPUTS_PER_STEP = 16
const TILE = 4

/** The algorithms that can serve a shape; the first is the one that does. */
export function convolutionCandidates(shape: ConvolutionShape): readonly ConvolutionAlgorithm[] {
  const { kernel, stride, dilation, groups } = shape
  const fits = kernel.every((size) => size === 3) && [...stride, ...dilation, groups].every((one) => one === 1)
  if (!fits) return ['patches']
  return prefersWinograd(shape) ? ['winograd', 'patches'] : ['patches', 'winograd']
}

/** The algorithm that serves a shape. @param forced one that is taken wherever it can serve */
export function chooseConvolution(shape: ConvolutionShape, forced?: ConvolutionAlgorithm): ConvolutionAlgorithm {
  const candidates = convolutionCandidates(shape)
  return forced && candidates.includes(forced) ? forced : (candidates[0] ?? 'patches')
}

function prefersWinograd({ direction, outHeight, outWidth, weightFixed }: ConvolutionShape): boolean {
  const outputs = outHeight * outWidth
  const tiles = Math.ceil(outHeight / TILE) * Math.ceil(outWidth / TILE)
  const saving = (outputs * 9) / (tiles * 36)
  if (weightFixed && direction !== 'backwardWeight') return saving >= LEAST_SAVING
  return saving >= LEAST_SAVING_PER_STEP && outputs >= FEWEST_OUTPUTS_PER_STEP
}
