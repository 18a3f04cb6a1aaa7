import type { Box } from '../../src/data/pixels.ts'
import type { Interpolation } from '../../src/data/preprocessing.ts'

const filters: Readonly<Record<Interpolation, { support: number; weight: (x: number) => number }>> = {
  nearest: { support: 0, weight: () => 1 },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

interface RgbPicture {
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
}

/** A window of an RGB picture as Pillow resizes it: all columns first, then all rows, each rounded to a byte. */
export function resampled(
  picture: RgbPicture,
  width: number,
  height: number,
  window: Box,
  interpolation: Interpolation,
): Uint8Array {
  const columns = weightsOf(picture.width, width, interpolation).slice(window.left, window.left + window.width)
  const rows = weightsOf(picture.height, height, interpolation).slice(window.top, window.top + window.height)
  const narrow = new Uint8Array(picture.height * window.width * 3)
  for (let y = 0; y < picture.height; y++) {
    for (const [x, { start, weights }] of columns.entries()) {
      for (let c = 0; c < 3; c++) {
        const value = (k: number) => picture.bytes[(y * picture.width + start + k) * 3 + c] ?? Number.NaN
        narrow[(y * window.width + x) * 3 + c] = toByte(weights.map((weight, k) => weight * value(k)))
      }
    }
  }
  const output = new Uint8Array(window.height * window.width * 3)
  const rowBytes = window.width * 3
  for (const [y, { start, weights }] of rows.entries()) {
    for (let x = 0; x < rowBytes; x++) {
      const value = (k: number) => narrow[(start + k) * rowBytes + x] ?? Number.NaN
      output[y * rowBytes + x] = toByte(weights.map((weight, k) => weight * value(k)))
    }
  }
  return output
}

/** For each output pixel the first input pixel that counts, and whole-numbered weights that sum to about 2^22. */
function weightsOf(inputSize: number, outputSize: number, interpolation: Interpolation) {
  const scale = inputSize / outputSize
  // The same size is left alone, whatever the filter.
  const filter = filters[inputSize === outputSize ? 'nearest' : interpolation]
  const stretch = Math.max(1, scale)
  const support = filter.support * stretch
  return Array.from({ length: outputSize }, (_, i) => {
    const center = (i + 0.5) * scale
    if (support === 0) return { start: Math.min(inputSize - 1, Math.floor(center)), weights: [2 ** 22] }
    const start = Math.max(0, Math.trunc(center - support + 0.5))
    const end = Math.min(inputSize, Math.trunc(center + support + 0.5))
    const exact = Array.from({ length: end - start }, (_, k) => filter.weight((start + k - center + 0.5) / stretch))
    const sum = exact.reduce((total, weight) => total + weight, 0)
    return { start, weights: exact.map((weight) => awayFromZero((weight / sum) * 2 ** 22)) }
  })
}

function awayFromZero(value: number): number {
  return Math.trunc(value + (value < 0 ? -0.5 : 0.5))
}

function toByte(products: readonly number[]): number {
  const sum = products.reduce((total, product) => total + product, 2 ** 21)
  return Math.min(255, Math.max(0, Math.floor(sum / 2 ** 22)))
}

/** Keys' cubic with a = -0.5. */
function cubic(signed: number): number {
  const x = Math.abs(signed)
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2
  return 0
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}
