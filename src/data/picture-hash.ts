import { cos } from '../exact-math.ts'
import type { Preprocessing } from './preprocessing.ts'

/** Side of the small picture that hashes are made of. */
export const hashSide = 32

/** How a picture is read to be hashed: small, squashed, quick. */
export const hashPreprocessing: Preprocessing = {
  width: hashSide,
  height: hashSide,
  cropPct: 1,
  cropMode: 'squash',
  interpolation: 'bilinear',
  resize: 'fast',
  mean: [0, 0, 0],
  std: [1, 1, 1],
}

/** What two prints of one photo have in common, whatever their size, quality and small corrections. */
export interface PictureHash {
  /** The sign of the low frequencies against their median: pHash, 64 bits as two words. */
  readonly frequencies: readonly [number, number]
  /** Whether it gets brighter from left to right: dHash, 64 bits as two words. */
  readonly gradients: readonly [number, number]
  /** 8 x 8 RGB means. */
  readonly colours: Uint8Array
}

/** Pictures whose brightness varies less than this, in levels of 255, have too little in them to be told apart. */
const leastDeviation = 6

/**
 * The hash of a picture of 32 x 32 RGB bytes; undefined for one that is almost a plain colour.
 * @see Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"
 */
export function pictureHash(bytes: Uint8Array): PictureHash | undefined {
  const grey = new Float64Array(hashSide * hashSide)
  let sum = 0
  let squares = 0
  for (let i = 0; i < grey.length; i++) {
    const at = i * 3
    // Rec. 601, as everywhere in such hashes.
    const value = 0.299 * (bytes[at] ?? 0) + 0.587 * (bytes[at + 1] ?? 0) + 0.114 * (bytes[at + 2] ?? 0)
    grey[i] = value
    sum += value
    squares += value * value
  }
  const mean = sum / grey.length
  if (squares / grey.length - mean * mean < leastDeviation * leastDeviation) return undefined
  return { frequencies: frequencyBits(grey), gradients: gradientBits(grey), colours: colourMeans(bytes) }
}

/** How much two hashes differ: bits of 64 and 64, and levels of 255 in the mean. */
export interface HashDistance {
  readonly frequencies: number
  readonly gradients: number
  readonly colours: number
}

export function hashDistance(a: PictureHash, b: PictureHash): HashDistance {
  let difference = 0
  for (let i = 0; i < a.colours.length; i++) difference += Math.abs((a.colours[i] ?? 0) - (b.colours[i] ?? 0))
  return {
    frequencies: differingBits(a.frequencies, b.frequencies),
    gradients: differingBits(a.gradients, b.gradients),
    colours: difference / a.colours.length,
  }
}

function differingBits(a: readonly [number, number], b: readonly [number, number]): number {
  return onesOf(a[0] ^ b[0]) + onesOf(a[1] ^ b[1])
}

function onesOf(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555)
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Difference of two cells in levels of 255, summed over their 4 rows, that compression does not make. */
const leastStep = 4

const low = 8
/** What rounding and compression change in a coefficient: drawings have many that are zero but for that; of photos few are so small. */
const noise = 16
/** cos((2x + 1) u π / 64) for the 8 lowest frequencies. */
const cosines = Float64Array.from({ length: low * hashSide }, (_, i) => {
  const u = Math.floor(i / hashSide)
  const x = i % hashSide
  return cos(((2 * x + 1) * u * Math.PI) / (2 * hashSide))
})

function frequencyBits(grey: Float64Array): readonly [number, number] {
  // Rows first, then columns, only where it is wanted.
  const rows = new Float64Array(hashSide * low)
  for (let y = 0; y < hashSide; y++) {
    for (let u = 0; u < low; u++) {
      let sum = 0
      for (let x = 0; x < hashSide; x++) sum += (grey[y * hashSide + x] ?? 0) * (cosines[u * hashSide + x] ?? 0)
      rows[y * low + u] = sum
    }
  }
  const coefficients = new Float64Array(low * low)
  for (let v = 0; v < low; v++) {
    for (let u = 0; u < low; u++) {
      let sum = 0
      for (let y = 0; y < hashSide; y++) sum += (rows[y * low + u] ?? 0) * (cosines[v * hashSide + y] ?? 0)
      coefficients[v * low + u] = sum
    }
  }
  // The first is the mean brightness, which says nothing.
  const sorted = coefficients.slice(1).sort()
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  return bitsOf((i) => i > 0 && (coefficients[i] ?? 0) > median + noise)
}

function gradientBits(grey: Float64Array): readonly [number, number] {
  // Means over 8 rows and 9 columns; 32 does not divide by 9, so the columns overlap by what is over.
  const cell = (row: number, column: number) => {
    const left = Math.floor((column * hashSide) / 9)
    const right = Math.ceil(((column + 1) * hashSide) / 9)
    let sum = 0
    for (let y = row * 4; y < row * 4 + 4; y++) for (let x = left; x < right; x++) sum += grey[y * hashSide + x] ?? 0
    return sum / (right - left)
  }
  // A plain area is as bright on the right as on the left, but for rounding.
  return bitsOf((i) => cell(i >> 3, (i & 7) + 1) > cell(i >> 3, i & 7) + leastStep)
}

function colourMeans(bytes: Uint8Array): Uint8Array {
  const means = new Uint8Array(8 * 8 * 3)
  for (let i = 0; i < means.length; i++) {
    const c = i % 3
    const x = (Math.floor(i / 3) % 8) * 4
    const y = Math.floor(i / 24) * 4
    let sum = 0
    for (let row = y; row < y + 4; row++) {
      for (let column = x; column < x + 4; column++) sum += bytes[(row * hashSide + column) * 3 + c] ?? 0
    }
    means[i] = Math.round(sum / 16)
  }
  return means
}

function bitsOf(isSet: (i: number) => boolean): readonly [number, number] {
  const words: [number, number] = [0, 0]
  for (let i = 0; i < 64; i++) if (isSet(i)) words[i >> 5 === 0 ? 0 : 1] |= 1 << (i & 31)
  return words
}
