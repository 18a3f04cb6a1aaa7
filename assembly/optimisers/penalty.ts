import { multiplyAdd } from '../lanes'

/**
 * gradient += l2·p + l1·sign(p), the gradient of l2/2·sum p² + l1·sum |p|; the sign of 0 is 0.
 * parameter, gradient: f32. Units are vectors of 4.
 */
export function penaltyGradient(parameter: usize, gradient: usize, l2: f32, l1: f32, from: i32, to: i32): void {
  const squared = f32x4.splat(l2)
  const linear = f32x4.splat(l1)
  const signs = f32x4.splat(-0.0)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const push = v128.and(v128.or(linear, v128.and(p, signs)), f32x4.ne(p, f32x4.splat(0)))
    v128.store(gradient + i, f32x4.add(v128.load(gradient + i), multiplyAdd(squared, p, push)))
  }
}

/** partials f64[block] = sum of the sizes |x| of each block of 4096 floats of x f32[n], in f64. Units are blocks. */
export function sumAbsolutes(x: usize, n: i32, partials: usize, from: i32, to: i32): void {
  for (let block = from; block < to; block++) {
    const start = block << 12
    const end = min(start + 4096, n)
    let sum: f64 = 0
    for (let i = start; i < end; i++) sum += <f64>abs(load<f32>(x + ((<usize>i) << 2)))
    store<f64>(partials + ((<usize>block) << 3), sum)
  }
}
