import { multiplyAdd } from '../lanes'

/**
 * Adam, PyTorch's formula: m = beta1·m + (1 - beta1)·g; v = beta2·v + (1 - beta2)·g²;
 * p -= rate/(1 - beta1^t) · m / (sqrt(v)/sqrt(1 - beta2^t) + epsilon). Weight decay: coupled, it is added to the gradient
 * (Adam); else p shrinks by rate·weightDecay first (AdamW). With `largest` the greatest v so far stands in the root (AMSGrad).
 * hyper f32: rate, beta1, beta2, epsilon, weightDecay, coupled (0/1), 1 - beta1^t, sqrt(1 - beta2^t).
 * The last two belong to the betas as rounded to f32: 1 - 0.999 is off by 1.3e-5 of itself there.
 * largest may be null. gradientScale: one f32, or null. Units are vectors of 4.
 * @see Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101; Reddi et al. 2018, https://arxiv.org/abs/1904.09237
 */
export function adamw(
  parameter: usize,
  gradient: usize,
  m: usize,
  v: usize,
  largest: usize,
  hyper: usize,
  gradientScale: usize,
  from: i32,
  to: i32,
): void {
  const rate = <f64>load<f32>(hyper, 0)
  const beta1 = load<f32>(hyper, 4)
  const beta2 = load<f32>(hyper, 8)
  const epsilon = f32x4.splat(load<f32>(hyper, 12))
  const weightDecay = load<f32>(hyper, 16)
  const coupled = load<f32>(hyper, 20) != 0
  const step = f32x4.splat(-(<f32>(rate / <f64>load<f32>(hyper, 24))))
  const correction = f32x4.splat(load<f32>(hyper, 28))
  const keep1 = f32x4.splat(beta1)
  const take1 = f32x4.splat(1 - beta1)
  const keep2 = f32x4.splat(beta2)
  const take2 = f32x4.splat(1 - beta2)
  const added = f32x4.splat(coupled ? weightDecay : 0)
  const shrink = f32x4.splat(coupled ? 1 : <f32>(1 - rate * <f64>weightDecay))
  const scale = f32x4.splat(gradientScale ? load<f32>(gradientScale) : 1)
  const end = (<usize>to) << 4
  for (let i = (<usize>from) << 4; i < end; i += 16) {
    const p = v128.load(parameter + i)
    const g = multiplyAdd(added, p, f32x4.mul(v128.load(gradient + i), scale))
    const first = multiplyAdd(keep1, v128.load(m + i), f32x4.mul(take1, g))
    const second = multiplyAdd(keep2, v128.load(v + i), f32x4.mul(f32x4.mul(take2, g), g))
    v128.store(m + i, first)
    v128.store(v + i, second)
    let spread = second
    if (largest) {
      spread = f32x4.max(v128.load(largest + i), second)
      v128.store(largest + i, spread)
    }
    const root = f32x4.add(f32x4.div(f32x4.sqrt(spread), correction), epsilon)
    v128.store(parameter + i, multiplyAdd(step, f32x4.div(first, root), f32x4.mul(p, shrink)))
  }
}
