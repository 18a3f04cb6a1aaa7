import { at } from '../support/dense-data.ts'

/** act((bias + residual) + a·b) in float64.  a: [M, K]  b: [K, N]  bias: [N] or null  residual: [M, N] or null. */
export function matmulReference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  M: number,
  N: number,
  K: number,
  bias: ArrayLike<number> | null,
  residual: ArrayLike<number> | null,
  activation: number,
): Float64Array {
  const c = new Float64Array(M * N)
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = (bias ? at(bias, n) : 0) + (residual ? at(residual, m * N + n) : 0)
      for (let k = 0; k < K; k++) sum += at(a, m * K + k) * at(b, k * N + n)
      c[m * N + n] = activate(sum, activation)
    }
  }
  return c
}

/** 0: unchanged, 1: relu, 2: relu6. */
export function activate(value: number, activation: number): number {
  if (activation === 0) return value
  return activation === 1 ? Math.max(0, value) : Math.min(6, Math.max(0, value))
}

/** aᵀ·b in float64.  a: [M, K]  b: [M, N]  result: [K, N]. */
export function matmulTransposedReference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  M: number,
  N: number,
  K: number,
): Float64Array {
  const c = new Float64Array(K * N)
  for (let m = 0; m < M; m++) {
    for (let k = 0; k < K; k++) {
      const value = at(a, m * K + k)
      for (let n = 0; n < N; n++) c[k * N + n] = at(c, k * N + n) + value * at(b, m * N + n)
    }
  }
  return c
}
