/** partials f64[block] = sum of squares of each block of 4096 floats of x f32[n], in f64. Units are blocks. */
export function sumSquares(x: usize, n: i32, partials: usize, from: i32, to: i32): void {
  for (let block = from; block < to; block++) {
    const start = block << 12
    const count = min(4096, n - start)
    store<f64>(partials + ((<usize>block) << 3), blockSquares(x + ((<usize>start) << 2), count))
  }
}

function blockSquares(x: usize, count: i32): f64 {
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  const whole = x + ((<usize>(count & ~3)) << 2)
  for (; x < whole; x += 16) {
    const values = v128.load(x)
    const first = f64x2.promote_low_f32x4(values)
    const second = f64x2.promote_low_f32x4(i64x2.shuffle(values, values, 1, 1))
    low = f64x2.add(low, f64x2.mul(first, first))
    high = f64x2.add(high, f64x2.mul(second, second))
  }
  const lanes = f64x2.add(low, high)
  let sum = f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1)
  for (let rest = count & 3; rest > 0; rest--) {
    const value = <f64>load<f32>(x)
    sum += value * value
    x += 4
  }
  return sum
}

/**
 * out f32[2] = min(1, maxNorm/(norm + 1e-6)) and norm, the root of the sum of the partials f64[count], in order.
 * One unit; PyTorch's clip_grad_norm_: NaN stays NaN.
 */
export function clipScale(partials: usize, count: i32, maxNorm: f64, out: usize, from: i32, to: i32): void {
  if (from > 0 || to < 1) return
  let sum: f64 = 0
  for (let i = 0; i < count; i++) sum += load<f64>(partials + ((<usize>i) << 3))
  const norm = Math.sqrt(sum)
  store<f32>(out, <f32>min<f64>(1, maxNorm / (norm + 1e-6)))
  store<f32>(out + 4, <f32>norm)
}
