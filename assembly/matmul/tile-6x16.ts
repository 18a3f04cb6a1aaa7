import { activate, activationCeiling, multiplyAdd } from '../lanes'

// Where V8 fuses neighbouring vectors to 256 bits, this tile takes twelve accumulators, two vectors of b and one broadcast, 15
// registers: 112 in place of 57 GFLOP/s at 512x512x512 on a Zen 4. Without, its 24 accumulators spill. See README.md, "Builds".

/** The same as `tile8` with 6 rows and 16 columns: a packed panel of 8 columns, and another one `next` bytes behind it. */
export function tile6x16(
  a: usize,
  lda: usize,
  rows: i32,
  b: usize,
  next: usize,
  k: i32,
  depth: i32,
  c: usize,
  ldc: usize,
  bias: usize,
  residual: usize,
  activation: i32,
): void {
  let bk = b + ((<usize>k) << 5)
  let bn = bk + next
  const end = bk + ((<usize>depth) << 5)
  let a0 = a + ((<usize>k) << 2)
  let a1 = a0 + (rows > 1 ? lda : 0)
  let a2 = a1 + (rows > 2 ? lda : 0)
  let a3 = a2 + (rows > 3 ? lda : 0)
  let a4 = a3 + (rows > 4 ? lda : 0)
  let a5 = a4 + (rows > 5 ? lda : 0)
  const o1 = rows > 1 ? ldc : 0
  const o2 = rows > 2 ? o1 + ldc : o1
  const o3 = rows > 3 ? o2 + ldc : o2
  const o4 = rows > 4 ? o3 + ldc : o3
  const o5 = rows > 5 ? o4 + ldc : o4

  let c00 = v128.load(bias)
  let c01 = v128.load(bias, 16)
  let c02 = v128.load(bias, 32)
  let c03 = v128.load(bias, 48)
  let c10 = c00
  let c11 = c01
  let c12 = c02
  let c13 = c03
  let c20 = c00
  let c21 = c01
  let c22 = c02
  let c23 = c03
  let c30 = c00
  let c31 = c01
  let c32 = c02
  let c33 = c03
  let c40 = c00
  let c41 = c01
  let c42 = c02
  let c43 = c03
  let c50 = c00
  let c51 = c01
  let c52 = c02
  let c53 = c03
  if (residual) {
    c00 = f32x4.add(c00, v128.load(residual))
    c01 = f32x4.add(c01, v128.load(residual, 16))
    c02 = f32x4.add(c02, v128.load(residual, 32))
    c03 = f32x4.add(c03, v128.load(residual, 48))
    c10 = f32x4.add(c10, v128.load(residual + o1))
    c11 = f32x4.add(c11, v128.load(residual + o1, 16))
    c12 = f32x4.add(c12, v128.load(residual + o1, 32))
    c13 = f32x4.add(c13, v128.load(residual + o1, 48))
    c20 = f32x4.add(c20, v128.load(residual + o2))
    c21 = f32x4.add(c21, v128.load(residual + o2, 16))
    c22 = f32x4.add(c22, v128.load(residual + o2, 32))
    c23 = f32x4.add(c23, v128.load(residual + o2, 48))
    c30 = f32x4.add(c30, v128.load(residual + o3))
    c31 = f32x4.add(c31, v128.load(residual + o3, 16))
    c32 = f32x4.add(c32, v128.load(residual + o3, 32))
    c33 = f32x4.add(c33, v128.load(residual + o3, 48))
    c40 = f32x4.add(c40, v128.load(residual + o4))
    c41 = f32x4.add(c41, v128.load(residual + o4, 16))
    c42 = f32x4.add(c42, v128.load(residual + o4, 32))
    c43 = f32x4.add(c43, v128.load(residual + o4, 48))
    c50 = f32x4.add(c50, v128.load(residual + o5))
    c51 = f32x4.add(c51, v128.load(residual + o5, 16))
    c52 = f32x4.add(c52, v128.load(residual + o5, 32))
    c53 = f32x4.add(c53, v128.load(residual + o5, 48))
  }

  while (bk < end) {
    const b0 = v128.load(bk)
    const b1 = v128.load(bk, 16)
    const b2 = v128.load(bn)
    const b3 = v128.load(bn, 16)
    const x0 = v128.load32_splat(a0)
    c00 = multiplyAdd(x0, b0, c00)
    c01 = multiplyAdd(x0, b1, c01)
    c02 = multiplyAdd(x0, b2, c02)
    c03 = multiplyAdd(x0, b3, c03)
    const x1 = v128.load32_splat(a1)
    c10 = multiplyAdd(x1, b0, c10)
    c11 = multiplyAdd(x1, b1, c11)
    c12 = multiplyAdd(x1, b2, c12)
    c13 = multiplyAdd(x1, b3, c13)
    const x2 = v128.load32_splat(a2)
    c20 = multiplyAdd(x2, b0, c20)
    c21 = multiplyAdd(x2, b1, c21)
    c22 = multiplyAdd(x2, b2, c22)
    c23 = multiplyAdd(x2, b3, c23)
    const x3 = v128.load32_splat(a3)
    c30 = multiplyAdd(x3, b0, c30)
    c31 = multiplyAdd(x3, b1, c31)
    c32 = multiplyAdd(x3, b2, c32)
    c33 = multiplyAdd(x3, b3, c33)
    const x4 = v128.load32_splat(a4)
    c40 = multiplyAdd(x4, b0, c40)
    c41 = multiplyAdd(x4, b1, c41)
    c42 = multiplyAdd(x4, b2, c42)
    c43 = multiplyAdd(x4, b3, c43)
    const x5 = v128.load32_splat(a5)
    c50 = multiplyAdd(x5, b0, c50)
    c51 = multiplyAdd(x5, b1, c51)
    c52 = multiplyAdd(x5, b2, c52)
    c53 = multiplyAdd(x5, b3, c53)
    a0 += 4
    a1 += 4
    a2 += 4
    a3 += 4
    a4 += 4
    a5 += 4
    bk += 32
    bn += 32
  }

  if (activation) {
    const ceiling = activationCeiling(activation)
    c00 = activate(c00, ceiling)
    c01 = activate(c01, ceiling)
    c02 = activate(c02, ceiling)
    c03 = activate(c03, ceiling)
    c10 = activate(c10, ceiling)
    c11 = activate(c11, ceiling)
    c12 = activate(c12, ceiling)
    c13 = activate(c13, ceiling)
    c20 = activate(c20, ceiling)
    c21 = activate(c21, ceiling)
    c22 = activate(c22, ceiling)
    c23 = activate(c23, ceiling)
    c30 = activate(c30, ceiling)
    c31 = activate(c31, ceiling)
    c32 = activate(c32, ceiling)
    c33 = activate(c33, ceiling)
    c40 = activate(c40, ceiling)
    c41 = activate(c41, ceiling)
    c42 = activate(c42, ceiling)
    c43 = activate(c43, ceiling)
    c50 = activate(c50, ceiling)
    c51 = activate(c51, ceiling)
    c52 = activate(c52, ceiling)
    c53 = activate(c53, ceiling)
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  v128.store(c, c02, 32)
  v128.store(c, c03, 48)
  v128.store(c + o1, c10)
  v128.store(c + o1, c11, 16)
  v128.store(c + o1, c12, 32)
  v128.store(c + o1, c13, 48)
  v128.store(c + o2, c20)
  v128.store(c + o2, c21, 16)
  v128.store(c + o2, c22, 32)
  v128.store(c + o2, c23, 48)
  v128.store(c + o3, c30)
  v128.store(c + o3, c31, 16)
  v128.store(c + o3, c32, 32)
  v128.store(c + o3, c33, 48)
  v128.store(c + o4, c40)
  v128.store(c + o4, c41, 16)
  v128.store(c + o4, c42, 32)
  v128.store(c + o4, c43, 48)
  v128.store(c + o5, c50)
  v128.store(c + o5, c51, 16)
  v128.store(c + o5, c52, 32)
  v128.store(c + o5, c53, 48)
}
