// The two passes of a resize: each input row is narrowed to the columns of the output, then added to all output rows that it
// counts for. So a picture may come in strips, and what is kept is a few rows of sums.
import { PRECISION } from './weights'

const HALF: i32 = 1 << (PRECISION - 1)
/** A weight is high·2^11 + low, so that both parts go into 16 bits and pairs of them into one instruction. */
const LOW_BITS: i32 = 11

/** Cuts weights i32[count, taps], taps even, into pairs in place: low, low, high, high, as i16. */
export function packPairs(weights: usize, values: i32): void {
  const mask: i32 = (1 << LOW_BITS) - 1
  for (let at = weights, end = weights + ((<usize>values) << 2); at < end; at += 8) {
    const first = load<i32>(at)
    const second = load<i32>(at, 4)
    store<i32>(at, (first & mask) | ((second & mask) << 16))
    store<i32>(at, ((first >> LOW_BITS) & 0xffff) | ((second >> LOW_BITS) << 16), 4)
  }
}

/**
 * One row of RGB bytes to `count` pixels. Reads up to 5 bytes behind the last input pixel and writes one byte behind the last
 * output pixel. `mirrored` writes them from right to left.
 */
export function narrowRow(
  source: usize,
  target: usize,
  count: i32,
  starts: usize,
  ends: usize,
  pairs: usize,
  taps: i32,
  mirrored: bool,
): void {
  // R R G G B B of two pixels, each widened to 16 bits.
  const order = i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1)
  const half = i32x4.splat(HALF)
  const step = (<usize>taps) << 2
  for (let x = 0; x < count; x++) {
    const i = <usize>(mirrored ? count - 1 - x : x)
    const start = load<i32>(starts + (i << 2))
    const end = load<i32>(ends + (i << 2))
    let pair = pairs + i * step
    let low = half
    let high = i32x4.splat(0)
    const last = source + <usize>end * 3
    for (let at = source + <usize>start * 3; at < last; at += 6) {
      const pixels = i8x16.swizzle(v128.load64_zero(at), order)
      low = i32x4.add(low, i32x4.dot_i16x8_s(pixels, v128.load32_splat(pair)))
      high = i32x4.add(high, i32x4.dot_i16x8_s(pixels, v128.load32_splat(pair, 4)))
      pair += 8
    }
    const sum = i32x4.shr_s(i32x4.add(i32x4.shl(high, LOW_BITS), low), PRECISION)
    const words = i16x8.narrow_i32x4_s(sum, sum)
    v128.store32_lane(target, i8x16.narrow_i16x8_u(words, words), 0)
    target += 3
  }
}

/** sums i32[length] += row u8[length] · weight; length is a multiple of 16. */
export function addRow(row: usize, sums: usize, length: i32, weight: i32): void {
  const factor = i32x4.splat(weight)
  for (let end = row + <usize>length; row < end; row += 16) {
    const bytes = v128.load(row)
    const low = i16x8.extend_low_i8x16_u(bytes)
    const high = i16x8.extend_high_i8x16_u(bytes)
    addProduct(sums, i32x4.extend_low_i16x8_u(low), factor, 0)
    addProduct(sums, i32x4.extend_high_i16x8_u(low), factor, 16)
    addProduct(sums, i32x4.extend_low_i16x8_u(high), factor, 32)
    addProduct(sums, i32x4.extend_high_i16x8_u(high), factor, 48)
    sums += 64
  }
}

// @ts-ignore: decorator of AssemblyScript
@inline
function addProduct(sums: usize, values: v128, factor: v128, offset: usize): void {
  v128.store(sums + offset, i32x4.add(v128.load(sums + offset), i32x4.mul(values, factor)))
}

/** Sums to bytes, and the sums back to their beginning. */
export function finishRow(sums: usize, target: usize, length: i32): void {
  const half = i32x4.splat(HALF)
  for (let end = target + <usize>length; target < end; target += 16) {
    const low = i16x8.narrow_i32x4_s(rounded(sums, 0), rounded(sums, 16))
    const high = i16x8.narrow_i32x4_s(rounded(sums, 32), rounded(sums, 48))
    v128.store(target, i8x16.narrow_i16x8_u(low, high))
    v128.store(sums, half)
    v128.store(sums, half, 16)
    v128.store(sums, half, 32)
    v128.store(sums, half, 48)
    sums += 64
  }
}

// @ts-ignore: decorator of AssemblyScript
@inline
function rounded(sums: usize, offset: usize): v128 {
  return i32x4.shr_s(v128.load(sums + offset), PRECISION)
}

/** Sums i32[length] at their beginning: half a unit, for rounding. */
export function startSums(sums: usize, length: i32): void {
  for (let i = 0; i < length; i++) store<i32>(sums + (<usize>i << 2), HALF)
}
