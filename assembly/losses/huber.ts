import { laneSum, lanesBefore } from '../lanes'

/**
 * loss = weight·scale·sum of h(x - t), with h(d) = d²/2 up to |d| = delta and delta·(|d| - delta/2) beyond, so that far targets pull no
 * harder than delta. scale 1 is Huber's loss; 1/delta the smooth L1 loss, whose beta is delta.
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits null or logits.
 * delta > 0. Units are rows.
 * @see Huber 1964, https://doi.org/10.1214/aoms/1177703732; Girshick 2015, https://arxiv.org/abs/1504.08083, section 2.3
 */
export function huber(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  delta: f32,
  scale: f32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const most = f32x4.splat(delta)
  const half = f32x4.splat(0.5)
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    const weight: f32 = scale * (weights ? load<f32>(weights + ((<usize>row) << 2)) : 1)
    let sum = f32x4.splat(0)
    for (let c = 0; c < S; c += 4) {
      const at = start + ((<usize>c) << 2)
      const counted = lanesBefore(c, C)
      const difference = f32x4.sub(v128.load(logits + at), v128.load(targets + at))
      const size = f32x4.abs(difference)
      // Of both forms of h: near·(size - near/2).
      const near = f32x4.min(size, most)
      sum = f32x4.add(sum, v128.and(f32x4.mul(near, f32x4.sub(size, f32x4.mul(half, near))), counted))
      if (!dLogits) continue
      const slope = f32x4.max(f32x4.min(difference, most), f32x4.neg(most))
      v128.store(dLogits + at, v128.and(f32x4.mul(f32x4.splat(weight), slope), counted))
    }
    store<f32>(losses + ((<usize>row) << 2), weight * laneSum(sum))
  }
}
