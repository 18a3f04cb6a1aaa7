// Pooling as plain loops in float64, channels last, without padding lanes.

export interface PoolShape {
  readonly N: number
  readonly H: number
  readonly W: number
  readonly C: number
  readonly kernel: number
  readonly stride: number
  readonly pad: number
  readonly ceil: boolean
}

/** Output length along one axis; with ceil, no window starts in the padding behind. */
export function pooledLength(size: number, shape: PoolShape): number {
  const steps = (size + 2 * shape.pad - shape.kernel) / shape.stride
  const length = (shape.ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
  return shape.ceil && (length - 1) * shape.stride >= size + shape.pad ? length - 1 : length
}

/** The fifteen integers the kernels read. */
export function poolGeometry(shape: PoolShape): Int32Array {
  const { H, W, C, kernel, stride, pad } = shape
  const S = Math.ceil(C / 4) * 4
  const size = [pooledLength(H, shape), pooledLength(W, shape)]
  return Int32Array.from([H, W, C, S, ...size, S, kernel, kernel, stride, stride, pad, pad, 1, 1])
}

interface Cell {
  readonly output: number
  readonly pixels: readonly number[]
  readonly divisor: number
}

/** Every output pixel with the pixels of its window (indices of pixels, over the batch) and the divisor of the mean. */
export function windows(shape: PoolShape, includePad: boolean): Cell[] {
  const { N, H, W, kernel, stride, pad } = shape
  const [OH, OW] = [pooledLength(H, shape), pooledLength(W, shape)]
  const cells: Cell[] = []
  for (let n = 0; n < N; n++)
    for (let oy = 0; oy < OH; oy++)
      for (let ox = 0; ox < OW; ox++) {
        const pixels: number[] = []
        let counted = 0
        for (let y = oy * stride - pad; y < oy * stride - pad + kernel; y++)
          for (let x = ox * stride - pad; x < ox * stride - pad + kernel; x++) {
            if (y < H + pad && x < W + pad) counted++
            if (y >= 0 && y < H && x >= 0 && x < W) pixels.push((n * H + y) * W + x)
          }
        cells.push({ output: cells.length, pixels, divisor: includePad ? counted : pixels.length })
      }
  return cells
}

/** The cells of adaptive average pooling. */
export function adaptiveCells(N: number, H: number, W: number, OH: number, OW: number): Cell[] {
  const cells: Cell[] = []
  for (let n = 0; n < N; n++)
    for (let oy = 0; oy < OH; oy++)
      for (let ox = 0; ox < OW; ox++) {
        const pixels: number[] = []
        for (let y = Math.floor((oy * H) / OH); y < Math.ceil(((oy + 1) * H) / OH); y++)
          for (let x = Math.floor((ox * W) / OW); x < Math.ceil(((ox + 1) * W) / OW); x++)
            pixels.push((n * H + y) * W + x)
        cells.push({ output: cells.length, pixels, divisor: pixels.length })
      }
  return cells
}

const at = (values: ArrayLike<number>, i: number): number => values[i] ?? Number.NaN

export function means(cells: readonly Cell[], x: ArrayLike<number>, C: number): Float64Array {
  const y = new Float64Array(cells.length * C)
  for (const { output, pixels, divisor } of cells)
    for (let c = 0; c < C; c++)
      y[output * C + c] = pixels.reduce((sum, pixel) => sum + at(x, pixel * C + c), 0) / divisor
  return y
}

export function meansGradient(cells: readonly Cell[], dy: ArrayLike<number>, C: number, length: number): Float64Array {
  const dx = new Float64Array(length)
  for (const { output, pixels, divisor } of cells)
    for (const pixel of pixels)
      for (let c = 0; c < C; c++) dx[pixel * C + c] = at(dx, pixel * C + c) + at(dy, output * C + c) / divisor
  return dx
}

/** Pixel that wins: the first of the largest; a NaN wins over all before it. */
function winner(pixels: readonly number[], x: ArrayLike<number>, C: number, c: number): number {
  return pixels.reduce((best, pixel) => {
    const value = at(x, pixel * C + c)
    return value > at(x, best * C + c) || Number.isNaN(value) ? pixel : best
  })
}

export function maxima(cells: readonly Cell[], x: ArrayLike<number>, C: number): Float64Array {
  const y = new Float64Array(cells.length * C)
  for (const { output, pixels } of cells)
    for (let c = 0; c < C; c++) y[output * C + c] = at(x, winner(pixels, x, C, c) * C + c)
  return y
}

export function maximaGradient(
  cells: readonly Cell[],
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  C: number,
): Float64Array {
  const dx = new Float64Array(x.length)
  for (const { output, pixels } of cells)
    for (let c = 0; c < C; c++) {
      const i = winner(pixels, x, C, c) * C + c
      dx[i] = at(dx, i) + at(dy, output * C + c)
    }
  return dx
}
