import { multiplyAdd } from '../lanes'

/**
 * Adamax, PyTorch's formula: m = beta1·m + (1 - beta1)·g; u = max(beta2·u, |g| + epsilon), with g = gradient·scale + weightDecay·p;
 * p -= rate/(1 - beta1^t) · m/u. `largest` is u.
 * hyper f32: rate, beta1, beta2, epsilon, weightDecay, 1 - beta1^t of the beta as rounded to f32. gradientScale: one f32, or null.
 * Units are vectors of 4.
 * @see Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, section 7.1
 */
export function adamax(
  parameter: usize,
  gradient: usize,
  m: usize,
  largest: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const beta1 = load<f32>(hyper, 4)
  const keep1 = f32x4.splat(beta1)
  const take1 = f32x4.splat(1 - beta1)
  const keep2 = f32x4.splat(load<f32>(hyper, 8))
  const epsilon = f32x4.splat(load<f32>(hyper, 12))
  const weightDecay = f32x4.splat(load<f32>(hyper, 16))
  const step = f32x4.splat(-(<f32>(<f64>load<f32>(hyper, 0) / <f64>load<f32>(hyper, 20))))
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    const first = multiplyAdd(keep1, v128.load(m + i), f32x4.mul(take1, g))
    const size = f32x4.max(f32x4.mul(keep2, v128.load(largest + i)), f32x4.add(f32x4.abs(g), epsilon))
    v128.store(m + i, first)
    v128.store(largest + i, size)
    v128.store(parameter + i, multiplyAdd(step, f32x4.div(first, size), p))
  }
}
