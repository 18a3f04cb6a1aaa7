import { multiplyAdd } from '../lanes'

/**
 * The move that NAdam and RAdam share: m = beta1·m + (1 - beta1)·g; v = beta2·v + (1 - beta2)·g², with g = gradient·scale + weightDecay·p;
 * p -= (now·g + mean·m)/(sqrt(v)/correction + epsilon), or, where `adaptive` is 0, p -= now·g + mean·m.
 * What they say in words, and how `now` and `mean` come from the step, stands in src/optim/optimisers.ts.
 * hyper f32: now, mean, beta1, beta2, epsilon, weightDecay, correction, adaptive (0/1). gradientScale: one f32, or null.
 * Units are vectors of 4.
 */
export function adamMove(
  parameter: usize,
  gradient: usize,
  m: usize,
  v: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const now = f32x4.splat(load<f32>(hyper, 0))
  const mean = f32x4.splat(load<f32>(hyper, 4))
  const beta1 = load<f32>(hyper, 8)
  const beta2 = load<f32>(hyper, 12)
  const epsilon = f32x4.splat(load<f32>(hyper, 16))
  const weightDecay = f32x4.splat(load<f32>(hyper, 20))
  const correction = f32x4.splat(load<f32>(hyper, 24))
  const adaptive = load<f32>(hyper, 28) != 0
  const keep1 = f32x4.splat(beta1)
  const take1 = f32x4.splat(1 - beta1)
  const keep2 = f32x4.splat(beta2)
  const take2 = f32x4.splat(1 - beta2)
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(weightDecay, p, f32x4.mul(v128.load(gradient + i), scale))
    const first = multiplyAdd(keep1, v128.load(m + i), f32x4.mul(take1, g))
    const second = multiplyAdd(keep2, v128.load(v + i), f32x4.mul(f32x4.mul(take2, g), g))
    v128.store(m + i, first)
    v128.store(v + i, second)
    let move = multiplyAdd(now, g, f32x4.mul(mean, first))
    if (adaptive) move = f32x4.div(move, f32x4.add(f32x4.div(f32x4.sqrt(second), correction), epsilon))
    v128.store(parameter + i, f32x4.sub(p, move))
  }
}
