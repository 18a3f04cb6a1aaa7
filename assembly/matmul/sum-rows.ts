import { SUM_ROWS } from './transposed'

/**
 * out[c] += sum over m of x[m, c].  x: f32[M, S]; out: f32[S], added to, may not overlap x.
 * Blocks of 256 rows are summed from zero and added in order. Units: groups of 4 channels.
 */
export function sumRows(x: usize, S: i32, M: i32, out: usize, from: i32, to: i32): void {
  const step = (<usize>S) << 2
  for (let m = 0; m < M; m += SUM_ROWS) {
    const block = x + <usize>m * step
    const end = block + <usize>min(SUM_ROWS, M - m) * step
    let group = from
    for (; group + 4 <= to; group += 4) {
      const column = (<usize>group) << 4
      addLine(block + column, end + column, step, out + column)
    }
    for (; group < to; group++) {
      const column = (<usize>group) << 4
      addGroup(block + column, end + column, step, out + column)
    }
  }
}

/** Sixteen channels at once: whole cache lines, and four sums whose additions overlap. */
function addLine(x: usize, end: usize, step: usize, out: usize): void {
  let s0 = f32x4.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  for (; x < end; x += step) {
    s0 = f32x4.add(s0, v128.load(x))
    s1 = f32x4.add(s1, v128.load(x, 16))
    s2 = f32x4.add(s2, v128.load(x, 32))
    s3 = f32x4.add(s3, v128.load(x, 48))
  }
  s0 = f32x4.add(v128.load(out), s0)
  s1 = f32x4.add(v128.load(out, 16), s1)
  s2 = f32x4.add(v128.load(out, 32), s2)
  s3 = f32x4.add(v128.load(out, 48), s3)
  v128.store(out, s0)
  v128.store(out, s1, 16)
  v128.store(out, s2, 32)
  v128.store(out, s3, 48)
}

function addGroup(x: usize, end: usize, step: usize, out: usize): void {
  let sum = f32x4.splat(0)
  for (; x < end; x += step) sum = f32x4.add(sum, v128.load(x))
  v128.store(out, f32x4.add(v128.load(out), sum))
}
