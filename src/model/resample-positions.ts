// Positions of a vision transformer for pictures of another size: PyTorch's bicubic resize with antialiasing, as timm does it.
import type { HostTensor } from '../tensor/host-tensor.ts'

/** Of Keys' cubic; -0.5 where antialiasing is on, as in Pillow. */
const SHARPNESS = -0.5
const REACH = 2

/**
 * @param tensor  [1, 1 + rows·columns, C] of a square grid, behind the position of the class token, which stays
 * @param grid    rows and columns that are wanted
 * @returns       undefined when the grid of the tensor is no square
 */
export function resampledPositions(
  tensor: HostTensor,
  [rows, columns]: readonly [number, number],
): HostTensor | undefined {
  const [one = 0, tokens = 0, channels = 0] = tensor.shape
  const size = Math.sqrt(tokens - 1)
  if (one !== 1 || tensor.shape.length !== 3 || !Number.isInteger(size) || size < 1) return undefined
  const grid = Float64Array.from(tensor.data.subarray(channels))
  const wide = alongAxis(grid, { before: size, from: size, to: columns, after: channels })
  const both = alongAxis(wide, { before: 1, from: size, to: rows, after: columns * channels })
  const data = new Float32Array((1 + rows * columns) * channels)
  data.set(tensor.data.subarray(0, channels))
  data.set(both, channels)
  return { shape: [1, 1 + rows * columns, channels], data }
}

interface Axis {
  readonly before: number
  readonly from: number
  readonly to: number
  readonly after: number
}

/** [before, from, after] to [before, to, after]. */
function alongAxis(values: Float64Array, { before, from, to, after }: Axis): Float64Array {
  const result = new Float64Array(before * to * after)
  for (let at = 0; at < to; at++) {
    const { first, weights } = weightsAt(at, from, to)
    for (let outer = 0; outer < before; outer++) {
      for (let inner = 0; inner < after; inner++) {
        let sum = 0
        for (const [k, weight] of weights.entries())
          sum += weight * (values[(outer * from + first + k) * after + inner] ?? 0)
        result[(outer * to + at) * after + inner] = sum
      }
    }
  }
  return result
}

/** The values that one of `to` is made of, and their shares. */
function weightsAt(at: number, from: number, to: number): { readonly first: number; readonly weights: number[] } {
  const scale = from / to
  const stretch = Math.max(scale, 1)
  const centre = scale * (at + 0.5)
  const first = Math.max(0, Math.trunc(centre - REACH * stretch + 0.5))
  const end = Math.min(from, Math.trunc(centre + REACH * stretch + 0.5))
  const weights = Array.from({ length: end - first }, (_, k) => cubic((k + first - centre + 0.5) / stretch))
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return { first, weights: weights.map((weight) => weight / sum) }
}

function cubic(distance: number): number {
  const x = Math.abs(distance)
  if (x < 1) return ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * SHARPNESS : 0
}
