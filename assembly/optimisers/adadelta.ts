import { multiplyAdd } from '../lanes'

/**
 * Adadelta, PyTorch's formula: v = rho·v + (1 - rho)·g²; d = sqrt(u + epsilon)/sqrt(v + epsilon)·g, with g = gradient·scale + weightDecay·p;
 * u = rho·u + (1 - rho)·d²; p -= rate·d. `squares` is v, `moves` is u.
 * hyper f32: rate, rho, epsilon, weightDecay. gradientScale: one f32, or null. Units are vectors of 4.
 * @see Zeiler 2012, https://arxiv.org/abs/1212.5701
 */
export function adadelta(
  parameter: usize,
  gradient: usize,
  squares: usize,
  moves: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const step = f32x4.splat(-load<f32>(hyper, 0))
  const rho = load<f32>(hyper, 4)
  const keep = f32x4.splat(rho)
  const take = f32x4.splat(1 - rho)
  const epsilon = f32x4.splat(load<f32>(hyper, 8))
  const weightDecay = f32x4.splat(load<f32>(hyper, 12))
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    const square = multiplyAdd(keep, v128.load(squares + i), f32x4.mul(f32x4.mul(take, g), g))
    v128.store(squares + i, square)
    const moved = v128.load(moves + i)
    const ratio = f32x4.div(f32x4.sqrt(f32x4.add(moved, epsilon)), f32x4.sqrt(f32x4.add(square, epsilon)))
    const move = f32x4.mul(ratio, g)
    v128.store(moves + i, multiplyAdd(keep, moved, f32x4.mul(f32x4.mul(take, move), move)))
    v128.store(parameter + i, multiplyAdd(step, move, p))
  }
}
