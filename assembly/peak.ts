import { multiplyAdd } from './lanes'

/** Rounds of one call of the inner loop: V8 optimises a function between its calls, never during one. */
const ROUNDS: i32 = 4096

/**
 * Twelve independent chains of multiply-adds on registers alone: 2·4·12·iterations floating-point operations, the most that a
 * core can do with four lanes. out: f32[4], written, so that nothing is optimised away. Units: one; from and to are ignored.
 */
export function registerPeak(out: usize, iterations: i32, from: i32, to: i32): void {
  for (; iterations > ROUNDS; iterations -= ROUNDS) chains(out, ROUNDS)
  chains(out, iterations)
}

function chains(out: usize, iterations: i32): void {
  const half = f32x4.splat(0.5)
  const one = f32x4.splat(1)
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
  }
  const low = f32x4.add(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)), f32x4.add(c4, c5))
  const high = f32x4.add(f32x4.add(f32x4.add(c6, c7), f32x4.add(c8, c9)), f32x4.add(c10, c11))
  v128.store(out, f32x4.add(low, high))
}
