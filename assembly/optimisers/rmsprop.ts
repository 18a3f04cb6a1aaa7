import { multiplyAdd } from '../lanes'

/**
 * RMSProp, PyTorch's formula: v = alpha·v + (1 - alpha)·g²; d = g/(sqrt(v) + epsilon), with g = gradient·scale + weightDecay·p.
 * With `means` centred: m = alpha·m + (1 - alpha)·g, and v - m² stands in the root. With `momentumBuffer`: buffer = momentum·buffer + d
 * is what moves p, else d: p -= rate·d.
 * hyper f32: rate, alpha, epsilon, momentum, weightDecay. means, momentumBuffer, gradientScale (one f32) may be null. Units are vectors of 4.
 * @see Graves 2013, https://arxiv.org/abs/1308.0850, section 4.2, for the centred form
 */
export function rmsprop(
  parameter: usize,
  gradient: usize,
  squares: usize,
  means: usize,
  momentumBuffer: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const step = f32x4.splat(-load<f32>(hyper, 0))
  const alpha = load<f32>(hyper, 4)
  const keep = f32x4.splat(alpha)
  const take = f32x4.splat(1 - alpha)
  const epsilon = f32x4.splat(load<f32>(hyper, 8))
  const momentum = f32x4.splat(load<f32>(hyper, 12))
  const weightDecay = f32x4.splat(load<f32>(hyper, 16))
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    const square = multiplyAdd(keep, v128.load(squares + i), f32x4.mul(f32x4.mul(take, g), g))
    v128.store(squares + i, square)
    let spread = square
    if (means) {
      const mean = multiplyAdd(keep, v128.load(means + i), f32x4.mul(take, g))
      v128.store(means + i, mean)
      // A variance: rounding may make it negative, and its root NaN.
      spread = f32x4.pmax(f32x4.sub(square, f32x4.mul(mean, mean)), f32x4.splat(0))
    }
    let move = f32x4.div(g, f32x4.add(f32x4.sqrt(spread), epsilon))
    if (momentumBuffer) {
      move = multiplyAdd(momentum, v128.load(momentumBuffer + i), move)
      v128.store(momentumBuffer + i, move)
    }
    v128.store(parameter + i, multiplyAdd(step, move, p))
  }
}
