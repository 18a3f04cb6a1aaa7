// Pooling as plain loops in float64: for each output the inputs that it looks at, and how much each of them counts.
import { slide, type Window } from '../ops/window.ts'

/** [images, height, width, channels] */
export interface PictureShape {
  readonly images: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** A rectangle of pixels, ends excluded, cut to the picture, and what a sum over it is divided by. */
interface Cell {
  readonly rows: readonly number[]
  readonly columns: readonly number[]
  readonly divisor: number
}

/** The cells of a window that slides over a picture. PyTorch's divisors: what ceil mode adds beyond the padding never counts. */
export function windowCells(
  window: Window & { readonly countIncludePad?: boolean },
  { height, width, channels }: PictureShape,
): readonly Cell[] {
  const { outHeight, outWidth, padTop, padLeft } = slide(window, [height, width, channels])
  const { kernel, stride, dilation = [1, 1], padding } = window
  const [, , padBottom, padRight] = padding === 'same' ? [0, 0, 0, 0] : padding
  const along = (size: number, taps: number, step: number, first: number) =>
    Array.from({ length: taps }, (_, tap) => first + tap * step).filter((at) => at >= 0 && at < size)
  const cells: Cell[] = []
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      const top = oy * stride[0] - padTop
      const left = ox * stride[1] - padLeft
      const rows = along(height, kernel[0], dilation[0], top)
      const columns = along(width, kernel[1], dilation[1], left)
      const inPadding =
        (Math.min(top + kernel[0], height + padBottom) - top) * (Math.min(left + kernel[1], width + padRight) - left)
      cells.push({
        rows,
        columns,
        divisor: window.countIncludePad === false ? rows.length * columns.length : inPadding,
      })
    }
  }
  return cells
}

/** The cells of a grid that divides a picture as evenly as can be; neighbours may share pixels. */
export function gridCells(
  { height, width }: PictureShape,
  [outHeight, outWidth]: readonly [number, number],
): readonly Cell[] {
  const range = (at: number, size: number, parts: number) => {
    const [start, end] = [Math.floor((at * size) / parts), Math.ceil(((at + 1) * size) / parts)]
    return Array.from({ length: end - start }, (_, index) => start + index)
  }
  return Array.from({ length: outHeight * outWidth }, (_, at) => {
    const rows = range(Math.floor(at / outWidth), height, outHeight)
    const columns = range(at % outWidth, width, outWidth)
    return { rows, columns, divisor: rows.length * columns.length }
  })
}

/** Means over cells. */
export function average(x: Float64Array, shape: PictureShape, cells: readonly Cell[]): Float64Array {
  const y = new Float64Array(shape.images * cells.length * shape.channels)
  forEachMember(shape, cells, (from, to, { divisor }) => {
    y[to] = (y[to] ?? 0) + (x[from] ?? 0) / divisor
  })
  return y
}

export function averageGradient(dOutput: Float64Array, shape: PictureShape, cells: readonly Cell[]): Float64Array {
  const dInput = new Float64Array(shape.images * shape.height * shape.width * shape.channels)
  forEachMember(shape, cells, (from, to, { divisor }) => {
    dInput[from] = (dInput[from] ?? 0) + (dOutput[to] ?? 0) / divisor
  })
  return dInput
}

/** The largest values, and the indices of the first of them in the input. */
export function largest(
  x: Float64Array,
  shape: PictureShape,
  cells: readonly Cell[],
): { readonly output: Float64Array; readonly from: Int32Array } {
  const output = new Float64Array(shape.images * cells.length * shape.channels).fill(Number.NEGATIVE_INFINITY)
  const from = new Int32Array(output.length).fill(-1)
  forEachMember(shape, cells, (at, to) => {
    const value = x[at] ?? Number.NaN
    if ((from[to] ?? -1) >= 0 && !(value > (output[to] ?? Number.NaN))) return
    output[to] = value
    from[to] = at
  })
  return { output, from }
}

/** Gives each gradient to the input that its output was taken from. */
export function scatter(dOutput: Float64Array, from: Int32Array, length: number): Float64Array {
  const dInput = new Float64Array(length)
  for (let to = 0; to < from.length; to++) {
    const at = from[to] ?? -1
    dInput[at] = (dInput[at] ?? 0) + (dOutput[to] ?? 0)
  }
  return dInput
}

function forEachMember(
  { images, height, width, channels }: PictureShape,
  cells: readonly Cell[],
  visit: (from: number, to: number, cell: Cell) => void,
): void {
  for (let image = 0; image < images; image++) {
    for (const [index, cell] of cells.entries()) {
      const to = (image * cells.length + index) * channels
      for (const row of cell.rows) {
        for (const column of cell.columns) {
          const from = ((image * height + row) * width + column) * channels
          for (let c = 0; c < channels; c++) visit(from + c, to + c, cell)
        }
      }
    }
  }
}
