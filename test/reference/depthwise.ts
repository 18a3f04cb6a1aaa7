// Depthwise convolution as plain loops in float64, channels last, without padding lanes.

export interface DepthwiseShape {
  readonly N: number
  readonly H: number
  readonly W: number
  readonly C: number
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  /** top, bottom, left, right */
  readonly pad: readonly [number, number, number, number]
  readonly dilation: readonly [number, number]
}

export function outputSize(shape: DepthwiseShape): [number, number] {
  const [kh, kw] = shape.kernel
  const height = shape.H + shape.pad[0] + shape.pad[1] - shape.dilation[0] * (kh - 1) - 1
  const width = shape.W + shape.pad[2] + shape.pad[3] - shape.dilation[1] * (kw - 1) - 1
  return [Math.floor(height / shape.stride[0]) + 1, Math.floor(width / shape.stride[1]) + 1]
}

/** The fifteen integers the kernels read. */
export function depthwiseGeometry(shape: DepthwiseShape): Int32Array {
  const S = Math.ceil(shape.C / 4) * 4
  const size = outputSize(shape)
  const pads = [shape.pad[0], shape.pad[2]]
  return Int32Array.from([
    ...[shape.H, shape.W, shape.C, S, ...size, S],
    ...[...shape.kernel, ...shape.stride, ...pads, ...shape.dilation],
  ])
}

/** Calls with the indices of output, input and weight of every product. */
function eachProduct(shape: DepthwiseShape, visit: (y: number, x: number, w: number) => void): void {
  const [OH, OW] = outputSize(shape)
  const { N, H, W, C } = shape
  for (let n = 0; n < N; n++)
    for (let oy = 0; oy < OH; oy++)
      for (let ox = 0; ox < OW; ox++)
        for (let ky = 0; ky < shape.kernel[0]; ky++)
          for (let kx = 0; kx < shape.kernel[1]; kx++) {
            const iy = oy * shape.stride[0] - shape.pad[0] + ky * shape.dilation[0]
            const ix = ox * shape.stride[1] - shape.pad[2] + kx * shape.dilation[1]
            if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue
            for (let c = 0; c < C; c++)
              visit(
                ((n * OH + oy) * OW + ox) * C + c,
                ((n * H + iy) * W + ix) * C + c,
                (ky * shape.kernel[1] + kx) * C + c,
              )
          }
}

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN

export function depthwise(
  shape: DepthwiseShape,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias?: ArrayLike<number>,
): Float64Array {
  const [OH, OW] = outputSize(shape)
  const y = new Float64Array(shape.N * OH * OW * shape.C).map((_, i) => (bias ? at(bias, i % shape.C) : 0))
  eachProduct(shape, (o, i, k) => {
    y[o] = at(y, o) + at(x, i) * at(weight, k)
  })
  return y
}

export function depthwiseInputGradient(
  shape: DepthwiseShape,
  dy: ArrayLike<number>,
  weight: ArrayLike<number>,
): Float64Array {
  const dx = new Float64Array(shape.N * shape.H * shape.W * shape.C)
  eachProduct(shape, (o, i, k) => {
    dx[i] = at(dx, i) + at(dy, o) * at(weight, k)
  })
  return dx
}

export function depthwiseWeightGradient(
  shape: DepthwiseShape,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
): Float64Array {
  const dw = new Float64Array(shape.kernel[0] * shape.kernel[1] * shape.C)
  eachProduct(shape, (o, i, k) => {
    dw[k] = at(dw, k) + at(dy, o) * at(x, i)
  })
  return dw
}
