import { multiplyAdd } from '../lanes'

/**
 * Stochastic gradient descent with momentum, PyTorch's formula:
 * g = gradient·scale + weightDecay·p; buffer = momentum·buffer + (1 - dampening)·g, at first g itself;
 * p -= rate·(buffer, with nesterov g + momentum·buffer).
 * hyper f32: rate, momentum, dampening, weightDecay, nesterov (0/1), first (0/1). gradientScale: one f32, or null.
 * momentumBuffer is not touched, and may be null, where momentum is 0. Units are vectors of 4.
 */
export function sgd(
  parameter: usize,
  gradient: usize,
  momentumBuffer: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const rate = f32x4.splat(-load<f32>(hyper, 0))
  const momentum = load<f32>(hyper, 4)
  const momentums = f32x4.splat(momentum)
  const fresh = f32x4.splat(1 - load<f32>(hyper, 8))
  const weightDecay = f32x4.splat(load<f32>(hyper, 12))
  const nesterov = load<f32>(hyper, 16) != 0
  const first = load<f32>(hyper, 20) != 0
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    let g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    if (momentum != 0) {
      const buffer = first ? g : multiplyAdd(momentums, v128.load(momentumBuffer + i), f32x4.mul(fresh, g))
      v128.store(momentumBuffer + i, buffer)
      g = nesterov ? multiplyAdd(momentums, buffer, g) : buffer
    }
    v128.store(parameter + i, multiplyAdd(rate, g, p))
  }
}
