import { IN_PAIRS, multiplyAdd } from './lanes'

/** Rounds of one call of the inner loop: V8 optimises a function between its calls, never during one. */
const ROUNDS: i32 = 4096

/**
 * Twelve independent chains of multiply-adds on registers alone: 2·4·12·iterations floating-point operations, the most that a
 * core can do with these vectors. The wide build has each chain twice, side by side, and takes half the rounds.
 * out: f32[8], their sum, twice, so that nothing is optimised away. Units: one; from and to are ignored.
 */
export function registerPeak(out: usize, iterations: i32, from: i32, to: i32): void {
  if (IN_PAIRS) iterations >>= 1
  for (; iterations > ROUNDS; iterations -= ROUNDS) chains(out, ROUNDS)
  chains(out, iterations)
}

function chains(out: usize, iterations: i32): void {
  // Through memory, for V8 13 does not keep a constant in a register: it makes it anew for each use.
  store<f32>(out, 0.5)
  store<f32>(out, 1, 4)
  const half = v128.load32_splat(out)
  const one = v128.load32_splat(out, 4)
  let c0 = f32x4.splat(1)
  let c1 = f32x4.splat(2)
  let c2 = f32x4.splat(3)
  let c3 = f32x4.splat(4)
  let c4 = f32x4.splat(5)
  let c5 = f32x4.splat(6)
  let c6 = f32x4.splat(7)
  let c7 = f32x4.splat(8)
  let c8 = f32x4.splat(9)
  let c9 = f32x4.splat(10)
  let c10 = f32x4.splat(11)
  let c11 = f32x4.splat(12)
  let d0 = c0
  let d1 = c1
  let d2 = c2
  let d3 = c3
  let d4 = c4
  let d5 = c5
  let d6 = c6
  let d7 = c7
  let d8 = c8
  let d9 = c9
  let d10 = c10
  let d11 = c11
  for (; iterations > 0; iterations--) {
    // Both the product and the sum depend on the round before: nothing can move out of the loop.
    c0 = multiplyAdd(c0, half, one)
    c1 = multiplyAdd(c1, half, one)
    c2 = multiplyAdd(c2, half, one)
    c3 = multiplyAdd(c3, half, one)
    c4 = multiplyAdd(c4, half, one)
    c5 = multiplyAdd(c5, half, one)
    c6 = multiplyAdd(c6, half, one)
    c7 = multiplyAdd(c7, half, one)
    c8 = multiplyAdd(c8, half, one)
    c9 = multiplyAdd(c9, half, one)
    c10 = multiplyAdd(c10, half, one)
    c11 = multiplyAdd(c11, half, one)
    if (IN_PAIRS) {
      d0 = multiplyAdd(d0, half, one)
      d1 = multiplyAdd(d1, half, one)
      d2 = multiplyAdd(d2, half, one)
      d3 = multiplyAdd(d3, half, one)
      d4 = multiplyAdd(d4, half, one)
      d5 = multiplyAdd(d5, half, one)
      d6 = multiplyAdd(d6, half, one)
      d7 = multiplyAdd(d7, half, one)
      d8 = multiplyAdd(d8, half, one)
      d9 = multiplyAdd(d9, half, one)
      d10 = multiplyAdd(d10, half, one)
      d11 = multiplyAdd(d11, half, one)
    }
  }
  const sum = sumOf(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11)
  const other = IN_PAIRS ? sumOf(d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11) : sum
  v128.store(out, sum)
  v128.store(out, other, 16)
}

// @ts-ignore: decorator
@inline
function sumOf(
  c0: v128,
  c1: v128,
  c2: v128,
  c3: v128,
  c4: v128,
  c5: v128,
  c6: v128,
  c7: v128,
  c8: v128,
  c9: v128,
  c10: v128,
  c11: v128,
): v128 {
  const low = f32x4.add(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)), f32x4.add(c4, c5))
  const high = f32x4.add(f32x4.add(f32x4.add(c6, c7), f32x4.add(c8, c9)), f32x4.add(c10, c11))
  return f32x4.add(low, high)
}
