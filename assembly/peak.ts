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
  const x = f32x4.splat(1e-9)
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
    // Each product depends on a neighbour's sum: were it constant, the baseline build could move it out of the loop.
    c0 = multiplyAdd(c1, x, c0)
    c1 = multiplyAdd(c2, x, c1)
    c2 = multiplyAdd(c3, x, c2)
    c3 = multiplyAdd(c4, x, c3)
    c4 = multiplyAdd(c5, x, c4)
    c5 = multiplyAdd(c6, x, c5)
    c6 = multiplyAdd(c7, x, c6)
    c7 = multiplyAdd(c8, x, c7)
    c8 = multiplyAdd(c9, x, c8)
    c9 = multiplyAdd(c10, x, c9)
    c10 = multiplyAdd(c11, x, c10)
    c11 = multiplyAdd(c0, x, c11)
  }
  const low = f32x4.add(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)), f32x4.add(c4, c5))
  const high = f32x4.add(f32x4.add(f32x4.add(c6, c7), f32x4.add(c8, c9)), f32x4.add(c10, c11))
  v128.store(out, f32x4.add(low, high))
}
