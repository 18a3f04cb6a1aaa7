import { activate, activationCeiling, multiplyAdd } from '../lanes'

// V8 11-12 hoists the loads of a basic block above its multiply-adds, so that accumulators, broadcasts and vectors of b all
// live at once: 4x8 makes 8 + 4 + 2 = 14 of 16 registers, larger tiles spill. Two steps of k per round gain 4 % as long as a
// possible exit separates them. The pointers are sums even where nothing needs adding: of a sum V8 knows that its upper half is
// zero, and else it copies every pointer before every load (512x512x512 on a Zen 4: 45 GFLOP/s with the copies, 50 without).
// For the same reason these are functions of one loop, called once per tile: in nested loops V8 unrolls by itself, and spills.

/**
 * A tile of 4 rows and 8 columns:  c = act((bias + residual) + a·b).
 * a: rows lda bytes apart, of which the columns k … k + depth - 1 count; b: a packed panel of 8 columns, from its row 0;
 * c and residual: rows ldc bytes apart; bias: 8 floats. A sum starts at bias + residual and takes k in order, so its bits do not
 * depend on the tile. Of the four rows only the first `rows` (1…4) exist: the missing ones repeat the last, reading and writing what it does.
 * residual may be null, or c.
 */
export function tile8(
  a: usize,
  lda: usize,
  rows: i32,
  b: usize,
  k: i32,
  depth: i32,
  c: usize,
  ldc: usize,
  bias: usize,
  residual: usize,
  activation: i32,
): void {
  let bk = b + ((<usize>k) << 5)
  const end = bk + ((<usize>depth) << 5)
  let a0 = a + ((<usize>k) << 2)
  let a1 = a0 + (rows > 1 ? lda : 0)
  let a2 = a1 + (rows > 2 ? lda : 0)
  let a3 = a2 + (rows > 3 ? lda : 0)
  const o1 = rows > 1 ? ldc : 0
  const o2 = rows > 2 ? o1 + ldc : o1
  const o3 = rows > 3 ? o2 + ldc : o2

  let c00 = v128.load(bias)
  let c01 = v128.load(bias, 16)
  let c10 = c00
  let c11 = c01
  let c20 = c00
  let c21 = c01
  let c30 = c00
  let c31 = c01
  if (residual) {
    c00 = f32x4.add(c00, v128.load(residual))
    c01 = f32x4.add(c01, v128.load(residual, 16))
    c10 = f32x4.add(c10, v128.load(residual + o1))
    c11 = f32x4.add(c11, v128.load(residual + o1, 16))
    c20 = f32x4.add(c20, v128.load(residual + o2))
    c21 = f32x4.add(c21, v128.load(residual + o2, 16))
    c30 = f32x4.add(c30, v128.load(residual + o3))
    c31 = f32x4.add(c31, v128.load(residual + o3, 16))
  }

  while (bk < end) {
    const b0 = v128.load(bk)
    const b1 = v128.load(bk, 16)
    const x0 = v128.load32_splat(a0)
    c00 = multiplyAdd(x0, b0, c00)
    c01 = multiplyAdd(x0, b1, c01)
    const x1 = v128.load32_splat(a1)
    c10 = multiplyAdd(x1, b0, c10)
    c11 = multiplyAdd(x1, b1, c11)
    const x2 = v128.load32_splat(a2)
    c20 = multiplyAdd(x2, b0, c20)
    c21 = multiplyAdd(x2, b1, c21)
    const x3 = v128.load32_splat(a3)
    c30 = multiplyAdd(x3, b0, c30)
    c31 = multiplyAdd(x3, b1, c31)
    a0 += 4
    a1 += 4
    a2 += 4
    a3 += 4
    if (bk + 32 >= end) break

    const d0 = v128.load(bk, 32)
    const d1 = v128.load(bk, 48)
    const y0 = v128.load32_splat(a0)
    c00 = multiplyAdd(y0, d0, c00)
    c01 = multiplyAdd(y0, d1, c01)
    const y1 = v128.load32_splat(a1)
    c10 = multiplyAdd(y1, d0, c10)
    c11 = multiplyAdd(y1, d1, c11)
    const y2 = v128.load32_splat(a2)
    c20 = multiplyAdd(y2, d0, c20)
    c21 = multiplyAdd(y2, d1, c21)
    const y3 = v128.load32_splat(a3)
    c30 = multiplyAdd(y3, d0, c30)
    c31 = multiplyAdd(y3, d1, c31)
    a0 += 4
    a1 += 4
    a2 += 4
    a3 += 4
    bk += 64
  }

  if (activation) {
    const ceiling = activationCeiling(activation)
    c00 = activate(c00, ceiling)
    c01 = activate(c01, ceiling)
    c10 = activate(c10, ceiling)
    c11 = activate(c11, ceiling)
    c20 = activate(c20, ceiling)
    c21 = activate(c21, ceiling)
    c30 = activate(c30, ceiling)
    c31 = activate(c31, ceiling)
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  v128.store(c + o1, c10)
  v128.store(c + o1, c11, 16)
  v128.store(c + o2, c20)
  v128.store(c + o2, c21, 16)
  v128.store(c + o3, c30)
  v128.store(c + o3, c31, 16)
}

/** The same with 4 columns: b is a panel of 4 columns, bias has 4 floats. */
export function tile4(
  a: usize,
  lda: usize,
  rows: i32,
  b: usize,
  k: i32,
  depth: i32,
  c: usize,
  ldc: usize,
  bias: usize,
  residual: usize,
  activation: i32,
): void {
  let bk = b + ((<usize>k) << 4)
  const end = bk + ((<usize>depth) << 4)
  let a0 = a + ((<usize>k) << 2)
  let a1 = a0 + (rows > 1 ? lda : 0)
  let a2 = a1 + (rows > 2 ? lda : 0)
  let a3 = a2 + (rows > 3 ? lda : 0)
  const o1 = rows > 1 ? ldc : 0
  const o2 = rows > 2 ? o1 + ldc : o1
  const o3 = rows > 3 ? o2 + ldc : o2

  let c0 = v128.load(bias)
  let c1 = c0
  let c2 = c0
  let c3 = c0
  if (residual) {
    c0 = f32x4.add(c0, v128.load(residual))
    c1 = f32x4.add(c1, v128.load(residual + o1))
    c2 = f32x4.add(c2, v128.load(residual + o2))
    c3 = f32x4.add(c3, v128.load(residual + o3))
  }

  while (bk < end) {
    const b0 = v128.load(bk)
    c0 = multiplyAdd(v128.load32_splat(a0), b0, c0)
    c1 = multiplyAdd(v128.load32_splat(a1), b0, c1)
    c2 = multiplyAdd(v128.load32_splat(a2), b0, c2)
    c3 = multiplyAdd(v128.load32_splat(a3), b0, c3)
    a0 += 4
    a1 += 4
    a2 += 4
    a3 += 4
    bk += 16
  }

  if (activation) {
    const ceiling = activationCeiling(activation)
    c0 = activate(c0, ceiling)
    c1 = activate(c1, ceiling)
    c2 = activate(c2, ceiling)
    c3 = activate(c3, ceiling)
  }
  v128.store(c, c0)
  v128.store(c + o1, c1)
  v128.store(c + o2, c2)
  v128.store(c + o3, c3)
}
