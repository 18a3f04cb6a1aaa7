import { at } from '../support/dense-data.ts'

/** A convolution; O output channels, C input channels, in groups that see only their own. */
export interface Convolution {
  readonly N: number
  readonly H: number
  readonly W: number
  readonly C: number
  readonly OH: number
  readonly OW: number
  readonly O: number
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly padTop: number
  readonly padLeft: number
  readonly dilation: readonly [number, number]
  /** 1 where absent. */
  readonly groups?: number
}

/**
 * Calls back for every product of the convolution: indices into x [N, H, W, C], weight [kh, kw, C / groups, O] and y [N, OH, OW, O].
 */
function eachProduct(shape: Convolution, visit: (x: number, weight: number, y: number) => void) {
  const { N, H, W, C, OH, OW, O, groups = 1 } = shape
  const [kh, kw] = shape.kernel
  const [inputs, outputs] = [C / groups, O / groups]
  for (let n = 0; n < N; n++) {
    for (let oy = 0; oy < OH; oy++) {
      for (let ox = 0; ox < OW; ox++) {
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const y = oy * shape.stride[0] - shape.padTop + ky * shape.dilation[0]
            const x = ox * shape.stride[1] - shape.padLeft + kx * shape.dilation[1]
            if (y < 0 || y >= H || x < 0 || x >= W) continue
            for (let c = 0; c < inputs; c++) {
              for (let o = 0; o < O; o++) {
                visit(
                  ((n * H + y) * W + x) * C + Math.floor(o / outputs) * inputs + c,
                  ((ky * kw + kx) * inputs + c) * O + o,
                  ((n * OH + oy) * OW + ox) * O + o,
                )
              }
            }
          }
        }
      }
    }
  }
}

/** The convolution itself, in float64, without bias. */
export function convolutionReference(
  shape: Convolution,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
): Float64Array {
  const result = new Float64Array(shape.N * shape.OH * shape.OW * shape.O)
  eachProduct(shape, (i, j, k) => {
    result[k] = at(result, k) + at(x, i) * at(weight, j)
  })
  return result
}

/** Gradient of the input. */
export function convolutionInputGradient(
  shape: Convolution,
  dy: ArrayLike<number>,
  weight: ArrayLike<number>,
): Float64Array {
  const result = new Float64Array(shape.N * shape.H * shape.W * shape.C)
  eachProduct(shape, (i, j, k) => {
    result[i] = at(result, i) + at(dy, k) * at(weight, j)
  })
  return result
}

/** Gradient of the weight. */
export function convolutionWeightGradient(
  shape: Convolution,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
): Float64Array {
  const result = new Float64Array(((shape.kernel[0] * shape.kernel[1] * shape.C) / (shape.groups ?? 1)) * shape.O)
  eachProduct(shape, (i, j, k) => {
    result[j] = at(result, j) + at(x, i) * at(dy, k)
  })
  return result
}
