import { cos, log, sin } from './exact-math.ts'

/**
 * Where a stream of random numbers belongs. The same address gives the same numbers on every machine, in any order of
 * asking and on any thread, so a run can stop and go on without storing a state.
 */
export interface RandomAddress {
  /** Integer from 0 to 2^53 - 1. */
  readonly seed: number
  /** Integer from 0 to 2^32 - 1; 0 when left out. */
  readonly epoch?: number
  /** Index of the image in the data set, or of the tensor: 0 to 2^32 - 1; 0 when left out. */
  readonly sample?: number
  /** What the numbers are for, in any words: `'shuffle'`, `'dropout:head'`. Different words give unrelated numbers. */
  readonly purpose: string
}

/** Random numbers in a fixed order. */
export interface RandomStream {
  /** 32 random bits. */
  uint32(): number
  /** From 0 up to but without 1, in steps of 2^-53. */
  uniform(): number
  /** Integer from 0 to n - 1, every one equally likely; 1 <= n <= 2^32. */
  integer(n: number): number
  /** Mean 0, standard deviation 1. */
  normal(): number
  /** A copy in random order. */
  shuffle<T>(items: readonly T[]): T[]
  /** The numbers 0 … n - 1 in random order. */
  permutation(n: number): Uint32Array
}

/** Opens the stream of an address at its beginning. */
export function randomStream(address: RandomAddress): RandomStream {
  const { seed, epoch = 0, sample = 0, purpose } = address
  checkInteger('seed', seed, Number.MAX_SAFE_INTEGER)
  checkInteger('epoch', epoch, 0xffffffff)
  checkInteger('sample', sample, 0xffffffff)
  const key = [seed >>> 0, Math.floor(seed / 0x100000000)] as const
  const purposeHash = hashText(purpose)
  let block = 0
  let words: Uint32Array = new Uint32Array(0)
  let used = 0
  let spareNormal: number | undefined

  const stream: RandomStream = {
    uint32() {
      if (used === words.length) {
        checkInteger('block of the random stream', block, 0xffffffff)
        words = philox([block, sample, epoch, purposeHash], key)
        block += 1
        used = 0
      }
      return words[used++] ?? 0
    },

    uniform() {
      const high = stream.uint32() >>> 5
      const low = stream.uint32() >>> 6
      return (high * 67108864 + low) / 9007199254740992 // 27 and 26 bits over 2^53
    },

    integer(n) {
      checkInteger('number of choices', n, 0x100000000)
      if (n === 0) throw new RangeError('There is no integer to choose from: n is 0.')
      // The last, incomplete round of n would favour small results: draw again.
      const end = 0x100000000 - (0x100000000 % n)
      let value = stream.uint32()
      while (value >= end) value = stream.uint32()
      return value % n
    },

    normal() {
      if (spareNormal !== undefined) {
        const value = spareNormal
        spareNormal = undefined
        return value
      }
      // Box & Muller 1958: two uniforms give two normals. 1 - u is never 0.
      const radius = Math.sqrt(-2 * log(1 - stream.uniform()))
      const angle = 2 * Math.PI * stream.uniform()
      spareNormal = radius * sin(angle)
      return radius * cos(angle)
    },

    shuffle(items) {
      const copy = items.slice()
      shuffleInPlace(copy, stream)
      return copy
    },

    permutation(n) {
      const order = new Uint32Array(n)
      for (let i = 0; i < n; i++) order[i] = i
      shuffleInPlace(order, stream)
      return order
    },
  }
  return stream
}

/** Fisher and Yates from the end: every order is equally likely. */
function shuffleInPlace<T>(items: { length: number; [index: number]: T }, stream: RandomStream): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = stream.integer(i + 1)
    // In range: 0 <= j <= i < length.
    const taken = items[i] as T
    items[i] = items[j] as T
    items[j] = taken
  }
}

/**
 * Philox4x32 with 10 rounds: four random words from a counter of four words and a key of two.
 * @see Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", https://doi.org/10.1145/2063384.2063405
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): Uint32Array {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0)
    const low0 = Math.imul(0xd2511f53, c0)
    const high1 = multiplyHigh(0xcd9e8d57, c2)
    const low1 = Math.imul(0xcd9e8d57, c2)
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1 >>> 0
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0 >>> 0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return Uint32Array.of(c0, c1, c2, c3)
}

/** The upper 32 bits of a product of two 32-bit numbers, by halves of 16 bits so that no partial sum passes 2^53. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16
  const aLow = a & 0xffff
  const bHigh = b >>> 16
  const bLow = b & 0xffff
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 65536)
  const otherMiddle = aLow * bHigh + (middle % 65536)
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(otherMiddle / 65536)
}

/** FNV-1a over the UTF-8 bytes, mixed once more so that words that differ in the last letter differ in every bit. */
function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function checkInteger(what: string, value: number, largest: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > largest) {
    throw new RangeError(`The ${what} has to be an integer from 0 to ${largest}, not ${value}.`)
  }
}
