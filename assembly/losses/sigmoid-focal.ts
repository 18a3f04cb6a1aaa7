import { exponential } from '../approximations/exponential'
import { logarithmOnePlus } from '../approximations/logarithm-one-plus'

/**
 * loss = weight·sum of a·q^gamma·bce(x, t), each output by itself: bce is the cross-entropy of the sigmoid s, q = s·(1 - t) + (1 - s)·t how
 * wrong it is, and a = alpha·t + (1 - alpha)·(1 - t) how much it counts; all counts alike where alpha is below 0, as in torchvision.
 * gamma >= 0; 0 without alpha is cross-entropy.
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits null or logits.
 * Units are rows.
 * @see Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 3.2
 */
export function sigmoidFocal(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  gamma: f32,
  alpha: f32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    const weight: f64 = weights ? <f64>load<f32>(weights + ((<usize>row) << 2)) : 1
    let sum: f64 = 0
    for (let c = 0; c < S; c++) {
      const at = start + ((<usize>c) << 2)
      let slope: f64 = 0
      if (c < C) {
        const x = load<f32>(logits + at)
        const t = <f64>load<f32>(targets + at)
        // e^-|x|, from which both shares of the sigmoid come with all their digits.
        const power = f32x4.extract_lane(exponential(f32x4.splat(-Mathf.abs(x))), 0)
        const less = <f64>power / (1 + <f64>power)
        const more = 1 / (1 + <f64>power)
        const yes = x >= 0 ? more : less
        const no = x >= 0 ? less : more
        const rest = <f64>f32x4.extract_lane(logarithmOnePlus(f32x4.splat(power)), 0)
        const entropy = rest + (x > 0 ? <f64>x : 0) - <f64>x * t
        const wrong = yes * (1 - t) + no * t
        const counts: f64 = alpha < 0 ? 1 : <f64>alpha * t + (1 - <f64>alpha) * (1 - t)
        const focus = Math.pow(wrong, <f64>gamma)
        sum += counts * focus * entropy + (<f64>x - <f64>x)
        // Of q: s·(1 - s)·(1 - 2t), over q itself; where q is 0 the entropy is, too.
        const steep = wrong == 0 ? 0 : (yes * no * (1 - 2 * t)) / wrong
        slope = counts * focus * (yes - t + <f64>gamma * entropy * steep)
      }
      if (dLogits) store<f32>(dLogits + at, <f32>(weight * slope))
    }
    store<f32>(losses + ((<usize>row) << 2), <f32>(weight * sum))
  }
}
