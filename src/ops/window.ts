// Windows that slide over pictures: convolution and pooling share their geometry.
import type { Shape } from '../tensor/shape.ts'
import { imageShape, paddedChannels, type Reach } from './op.ts'

export type Pair = readonly [number, number]

/**
 * 'same' is TensorFlow's: output ceil(in/stride), the odd row or column of padding at the bottom and right.
 * Four numbers are zeros added at top, left, bottom, right.
 */
export type Padding = 'same' | readonly [number, number, number, number]

export interface Window {
  readonly kernel: Pair
  readonly stride: Pair
  readonly padding: Padding
  readonly dilation?: Pair
  /** Pooling: round the output size up. */
  readonly ceilMode?: boolean
}

/** The same padding on all sides that keeps the size at stride 1 (PyTorch's usual choice). */
export function symmetricPadding(kernel: number, stride = 1, dilation = 1): readonly [number, number, number, number] {
  const padding = Math.floor((stride - 1 + dilation * (kernel - 1)) / 2)
  return [padding, padding, padding, padding]
}

export function evenPadding(padding: number): readonly [number, number, number, number] {
  return [padding, padding, padding, padding]
}

function axis(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  before: number,
  after: number,
  same: boolean,
  ceil: boolean,
) {
  const extent = dilation * (kernel - 1) + 1
  if (same) {
    const out = Math.ceil(size / stride)
    const total = Math.max((out - 1) * stride + extent - size, 0)
    return { out, before: Math.floor(total / 2) }
  }
  const room = size + before + after - extent
  let out = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1
  // PyTorch: the last window must start inside the picture or its padding at the top or left.
  if (ceil && (out - 1) * stride >= size + before) out--
  return { out, before }
}

/** Output size of a window over a picture, and where the first window starts. */
export function slide(
  window: Window,
  input: Shape,
): { outHeight: number; outWidth: number; padTop: number; padLeft: number } {
  const { height, width } = imageShape(input)
  const [kernelHeight, kernelWidth] = window.kernel
  const [strideHeight, strideWidth] = window.stride
  const [dilationHeight, dilationWidth] = window.dilation ?? [1, 1]
  const same = window.padding === 'same'
  const [top, left, bottom, right] = window.padding === 'same' ? [0, 0, 0, 0] : window.padding
  const rows = axis(height, kernelHeight, strideHeight, dilationHeight, top, bottom, same, window.ceilMode ?? false)
  const columns = axis(width, kernelWidth, strideWidth, dilationWidth, left, right, same, window.ceilMode ?? false)
  if (rows.out < 1 || columns.out < 1) {
    throw new Error(`a ${kernelHeight}x${kernelWidth} window does not fit a ${height}x${width} picture`)
  }
  return { outHeight: rows.out, outWidth: columns.out, padTop: rows.before, padLeft: columns.before }
}

/** Zeros at top, left, bottom and right that the windows read; fewer than `padding` says where the last window ends before. */
export function zerosAround(window: Window, input: Shape): readonly [number, number, number, number] {
  const { height, width } = imageShape(input)
  const { outHeight, outWidth, padTop, padLeft } = slide(window, input)
  const after = (size: number, out: number, before: number, axis: 0 | 1) => {
    const extent = (window.dilation?.[axis] ?? 1) * (window.kernel[axis] - 1) + 1
    return Math.max(0, (out - 1) * window.stride[axis] + extent - size - before)
  }
  return [padTop, padLeft, after(height, outHeight, padTop, 0), after(width, outWidth, padLeft, 1)]
}

/** The table of fifteen integers that the kernels call `geometry`. */
export function geometry(window: Window, input: Shape, outChannels: number): readonly number[] {
  const { height, width, channels } = imageShape(input)
  const { outHeight, outWidth, padTop, padLeft } = slide(window, input)
  return [
    height,
    width,
    channels,
    paddedChannels(channels),
    outHeight,
    outWidth,
    paddedChannels(outChannels),
    ...window.kernel,
    ...window.stride,
    padTop,
    padLeft,
    ...(window.dilation ?? [1, 1]),
  ]
}

/** The input rows that a row of outputs needs. */
export function reachOf(window: Window, input: Shape): Reach {
  const { padTop } = slide(window, input)
  const { height } = imageShape(input)
  const [step] = window.stride
  const extent = (window.dilation?.[0] ?? 1) * (window.kernel[0] - 1) + 1
  return { rows: height, first: (row) => row * step - padTop, end: (row) => row * step - padTop + extent }
}

/** The output rows whose gradients a row of the input's gradient needs. */
export function reachBack(window: Window, input: Shape): Reach {
  const { padTop, outHeight } = slide(window, input)
  const [step] = window.stride
  const extent = (window.dilation?.[0] ?? 1) * (window.kernel[0] - 1) + 1
  return {
    rows: outHeight,
    first: (row) => Math.ceil((row + padTop - extent + 1) / step),
    end: (row) => Math.floor((row + padTop) / step) + 1,
  }
}
