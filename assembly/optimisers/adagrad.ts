import { multiplyAdd } from '../lanes'

/**
 * AdaGrad, PyTorch's formula: s += g²; p -= rate·g/(sqrt(s) + epsilon), with g = gradient·scale + weightDecay·p.
 * hyper f32: rate, epsilon, weightDecay. gradientScale: one f32, or null. Units are vectors of 4.
 * @see Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html
 */
export function adagrad(
  parameter: usize,
  gradient: usize,
  squares: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const step = f32x4.splat(-load<f32>(hyper, 0))
  const epsilon = f32x4.splat(load<f32>(hyper, 4))
  const weightDecay = f32x4.splat(load<f32>(hyper, 8))
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    const sum = multiplyAdd(g, g, v128.load(squares + i))
    v128.store(squares + i, sum)
    const root = f32x4.add(f32x4.sqrt(sum), epsilon)
    v128.store(parameter + i, multiplyAdd(step, f32x4.div(g, root), p))
  }
}
