import { breathing } from '../breath.ts'
import { sin } from '../exact-math.ts'
import type { Interpolation } from './preprocessing.ts'

/** Pixels of a picture: rows of `channels` bytes. */
export interface Pixels {
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: number
}

/** A rectangle in pixels. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/**
 * A window of the picture as resized to width x height, with the arithmetic of Pillow: rows first, then columns, each
 * rounded to 8 bits, weights of 22 bits, wider filters when shrinking. Only the window is computed.
 * libvips takes other positions when it enlarges (mean error 8 of 255 on noise), so enlarging always comes here.
 * @see Pillow, src/libImaging/Resample.c
 */
export async function resample(
  picture: Pixels,
  width: number,
  height: number,
  window: Box,
  interpolation: Interpolation,
): Promise<Pixels> {
  const columns = filterWeights(picture.width, width, window.left, window.width, interpolation)
  const rows = filterWeights(picture.height, height, window.top, window.height, interpolation)
  const firstRow = Math.min(...rows.starts)
  const endRow = rows.starts.reduce((end, start, index) => Math.max(end, start + (rows.counts[index] ?? 0)), 0)
  const narrow = await resampleRows(picture, firstRow, endRow - firstRow, columns)
  return await resampleColumns(narrow, firstRow, rows)
}

/** For each output pixel: the first input pixel, how many, and their weights as integers that sum to about 2^22. */
interface Weights {
  readonly starts: Int32Array
  readonly counts: Int32Array
  readonly weights: Int32Array
  /** Weights lie this far apart. */
  readonly stride: number
}

const precisionBits = 22
const half = 1 << (precisionBits - 1)

const filters: Readonly<Record<Interpolation, { support: number; weight: (x: number) => number }>> = {
  nearest: { support: 0, weight: () => 1 },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

function filterWeights(
  inputSize: number,
  outputSize: number,
  first: number,
  count: number,
  interpolation: Interpolation,
): Weights {
  const scale = inputSize / outputSize
  // The same size is left alone, whatever the filter.
  const filter = filters[inputSize === outputSize ? 'nearest' : interpolation]
  const stretch = Math.max(1, scale)
  const support = filter.support * stretch
  const stride = Math.ceil(support) * 2 + 1
  const starts = new Int32Array(count)
  const counts = new Int32Array(count)
  const weights = new Int32Array(count * stride)
  const exact = new Float64Array(stride)
  for (let i = 0; i < count; i++) {
    const center = (first + i + 0.5) * scale
    if (support === 0) {
      starts[i] = Math.min(inputSize - 1, Math.floor(center))
      counts[i] = 1
      weights[i * stride] = 1 << precisionBits
      continue
    }
    const start = Math.max(0, Math.trunc(center - support + 0.5))
    const end = Math.min(inputSize, Math.trunc(center + support + 0.5))
    let sum = 0
    for (let k = 0; k < end - start; k++) {
      const weight = filter.weight((start + k - center + 0.5) / stretch)
      exact[k] = weight
      sum += weight
    }
    for (let k = 0; k < end - start; k++) {
      const scaled = ((exact[k] ?? 0) / sum) * (1 << precisionBits)
      weights[i * stride + k] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5))
    }
    starts[i] = start
    counts[i] = end - start
  }
  return { starts, counts, weights, stride }
}

async function resampleRows(picture: Pixels, firstRow: number, rowCount: number, columns: Weights): Promise<Pixels> {
  const { bytes, channels } = picture
  const { starts, counts, weights, stride } = columns
  const width = starts.length
  const output = new Uint8ClampedArray(rowCount * width * channels)
  const breath = breathing()
  for (let y = 0, to = 0; y < rowCount; y++) {
    const row = (firstRow + y) * picture.width * channels
    for (let x = 0; x < width; x++) {
      const count = counts[x] ?? 0
      const from = row + (starts[x] ?? 0) * channels
      for (let c = 0; c < channels; c++) {
        let sum = half
        for (let k = 0; k < count; k++) {
          sum = (sum + Math.imul(bytes[from + k * channels + c] ?? 0, weights[x * stride + k] ?? 0)) | 0
        }
        output[to++] = sum >> precisionBits
      }
    }
    if (breath.due()) await breath.pause()
  }
  return { bytes: new Uint8Array(output.buffer), width, height: rowCount, channels }
}

async function resampleColumns(picture: Pixels, firstRow: number, rows: Weights): Promise<Pixels> {
  const { bytes, width, channels } = picture
  const { starts, counts, weights, stride } = rows
  const height = starts.length
  const rowBytes = width * channels
  const output = new Uint8ClampedArray(height * rowBytes)
  const breath = breathing()
  const sums = new Int32Array(rowBytes)
  for (let y = 0; y < height; y++) {
    sums.fill(half)
    for (let k = 0; k < (counts[y] ?? 0); k++) {
      const from = ((starts[y] ?? 0) - firstRow + k) * rowBytes
      const weight = weights[y * stride + k] ?? 0
      for (let x = 0; x < rowBytes; x++) sums[x] = (sums[x] ?? 0) + Math.imul(bytes[from + x] ?? 0, weight)
    }
    for (let x = 0; x < rowBytes; x++) output[y * rowBytes + x] = (sums[x] ?? 0) >> precisionBits
    if (breath.due()) await breath.pause()
  }
  return { bytes: new Uint8Array(output.buffer), width, height, channels }
}

/** Keys' cubic with a = -0.5, as Pillow's BICUBIC. */
function cubic(signed: number): number {
  const x = Math.abs(signed)
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2
  return 0
}

function sinc(x: number): number {
  return x === 0 ? 1 : sin(x * Math.PI) / (x * Math.PI)
}
