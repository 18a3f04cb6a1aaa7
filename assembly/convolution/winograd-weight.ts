import { A, B } from './winograd-points'

// The transform of the weight in float64: a line of three is evaluated at the six points. What the interpolation would have to divide
// by is taken in here.
const A2: f64 = A * A
const B2: f64 = B * B

/** What the interpolation divides by at 0, at A and -A, at B and -B, as factors. */
export const AT_ZERO: f64 = 1 / (A2 * B2)
export const AT_A: f64 = 1 / (2 * A2 * (A2 - B2))
export const AT_B: f64 = 1 / (2 * B2 * (B2 - A2))

/**
 * Bytes from plane to plane of a transformed weight of K rows and N columns: an odd number of cache lines, so that the 36 lines
 * that are written together lie in different sets of the cache.
 */
export function weightPlane(K: i32, N: i32): usize {
  return ((((<usize>K * <usize>N) << 2) + 63) & ~63) | 64
}

/**
 * packed = the transformed weight for `winogradForward`: 36 matrices in the panels that `matmul` wants, computed in float64 and
 * rounded once.
 * weight: f32[3, 3, I, O']. transposed 0: the convolution itself, K = I rows, N = O' columns. transposed 1: the gradient of its
 * input, the kernel turned around and the roles of input and output exchanged, K = O' and N = I padded to 4.
 * packed: f32[36·plane], plane = K·N rounded up to an odd number of sixteens, written; may not overlap the weight.
 * Units: panels of 8 columns.
 */
export function winogradWeight(
  weight: usize,
  I: i32,
  O: i32,
  transposed: i32,
  packed: usize,
  from: i32,
  to: i32,
): void {
  const tap = (<usize>I * <usize>O) << 2
  const N = transposed ? (I + 3) & ~3 : O
  const K = transposed ? O : I
  const plane = weightPlane(K, N)
  for (let panel = from; panel < to; panel++) {
    const n = panel << 3
    const width = N - n > 4 ? 8 : 4
    const target = packed + ((<usize>n * <usize>K) << 2)
    if (transposed) {
      packTurned(weight, tap, I, O, n, width, target, plane)
    } else {
      for (let k = 0; k < K; k++) {
        const row = weight + ((<usize>k * <usize>O + <usize>n) << 2)
        const out = target + ((<usize>(k * width)) << 2)
        for (let column = 0; column < width; column += 2) {
          const offset = (<usize>column) << 2
          transformPair(row + offset, tap, out + offset, plane, 4)
        }
      }
    }
  }
}

/** A panel of the turned weight: its columns are input channels n …, its rows output channels, two of them at a time. */
function packTurned(weight: usize, tap: usize, I: i32, O: i32, n: i32, width: i32, target: usize, plane: usize): void {
  const last = weight + 8 * tap
  const step = (<usize>width) << 2
  for (let o = 0; o < O; o += 2) {
    const out = target + <usize>o * step
    for (let column = 0; column < width; column++) {
      const offset = (<usize>column) << 2
      if (n + column < I) {
        transformPair(last + ((<usize>(n + column) * <usize>O + <usize>o) << 2), 0 - tap, out + offset, plane, step)
      } else {
        for (let point: usize = 0; point < 36; point++) {
          store<f32>(out + offset + point * plane, 0)
          store<f32>(out + offset + point * plane + step, 0)
        }
      }
    }
  }
}

/** Two neighbours in memory, `w` with nine taps `tap` bytes apart, into 36 planes, the second `second` bytes after the first. */
function transformPair(w: usize, tap: usize, out: usize, plane: usize, second: usize): void {
  const row = plane * 6
  transformLine(w, tap, AT_ZERO, 0, 0, out, plane, second)
  out += row
  transformLine(w, tap, AT_A, A * AT_A, A2 * AT_A, out, plane, second)
  out += row
  transformLine(w, tap, AT_A, -A * AT_A, A2 * AT_A, out, plane, second)
  out += row
  transformLine(w, tap, AT_B, B * AT_B, B2 * AT_B, out, plane, second)
  out += row
  transformLine(w, tap, AT_B, -B * AT_B, B2 * AT_B, out, plane, second)
  out += row
  transformLine(w, tap, 0, 0, 1, out, plane, second)
}

/** One row of six planes: the three rows of the kernel weighted by c0, c1, c2, and the line of three that results at all points. */
function transformLine(w: usize, tap: usize, c0: f64, c1: f64, c2: f64, out: usize, plane: usize, second: usize): void {
  const g0 = weighted(w, 3 * tap, c0, c1, c2)
  const g1 = weighted(w + tap, 3 * tap, c0, c1, c2)
  const g2 = weighted(w + 2 * tap, 3 * tap, c0, c1, c2)
  storePair(out, second, f64x2.mul(g0, f64x2.splat(AT_ZERO)))
  out += plane
  const evenA = f64x2.mul(f64x2.add(g0, f64x2.mul(g2, f64x2.splat(A2))), f64x2.splat(AT_A))
  const oddA = f64x2.mul(g1, f64x2.splat(A * AT_A))
  storePair(out, second, f64x2.add(evenA, oddA))
  out += plane
  storePair(out, second, f64x2.sub(evenA, oddA))
  out += plane
  const evenB = f64x2.mul(f64x2.add(g0, f64x2.mul(g2, f64x2.splat(B2))), f64x2.splat(AT_B))
  const oddB = f64x2.mul(g1, f64x2.splat(B * AT_B))
  storePair(out, second, f64x2.add(evenB, oddB))
  out += plane
  storePair(out, second, f64x2.sub(evenB, oddB))
  out += plane
  storePair(out, second, g2)
}

// @ts-ignore: decorator
@inline
function weighted(w: usize, row: usize, c0: f64, c1: f64, c2: f64): v128 {
  const first = f64x2.mul(doubles(w), f64x2.splat(c0))
  const second = f64x2.mul(doubles(w + row), f64x2.splat(c1))
  return f64x2.add(f64x2.add(first, second), f64x2.mul(doubles(w + 2 * row), f64x2.splat(c2)))
}

// @ts-ignore: decorator
@inline
function doubles(w: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(w))
}

// @ts-ignore: decorator
@inline
function storePair(out: usize, second: usize, pair: v128): void {
  const rounded = f32x4.demote_f64x2_zero(pair)
  v128.store_lane<f32>(out, rounded, 0)
  v128.store_lane<f32>(out + second, rounded, 1)
}
