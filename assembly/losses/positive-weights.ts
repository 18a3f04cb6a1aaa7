import { exponential } from '../approximations/exponential'
import { logarithmOnePlus } from '../approximations/logarithm-one-plus'
import { logistic } from '../approximations/logistic'
import { laneSum, lanesBefore } from '../lanes'

/**
 * Cross-entropy of sigmoids in which the term of a label that is there counts as often as its weight says, PyTorch's pos_weight:
 * loss = weight·sum of (1 + (p - 1)·t)·log(1 + e^x) - p·t·x; dLogits = weight·((1 + (p - 1)·t)·sigmoid(x) - p·t).
 * logits, targets, dLogits: f32[rows, S], the first C count; positives: p, f32[S]; weights, losses: f32[rows]. weights may be null (1),
 * dLogits null or logits. Units are rows.
 */
export function positiveCrossEntropy(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  positives: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const one = f32x4.splat(1)
  for (let row = from; row < to; row++) {
    const start = <usize>row * stride
    const weight: f32 = weights ? load<f32>(weights + ((<usize>row) << 2)) : 1
    let sum = f32x4.splat(0)
    for (let c = 0; c < S; c += 4) {
      const column = (<usize>c) << 2
      const counted = lanesBefore(c, C)
      const x = v128.load(logits + start + column)
      const t = v128.load(targets + start + column)
      const positive = f32x4.mul(v128.load(positives + column), t)
      const all = f32x4.add(positive, f32x4.sub(one, t))
      const rest = logarithmOnePlus(exponential(f32x4.neg(f32x4.abs(x))))
      const softplus = f32x4.add(f32x4.pmax(x, f32x4.splat(0)), rest)
      sum = f32x4.add(sum, v128.and(f32x4.sub(f32x4.mul(all, softplus), f32x4.mul(positive, x)), counted))
      if (!dLogits) continue
      const slope = f32x4.sub(f32x4.mul(all, logistic(x)), positive)
      v128.store(dLogits + start + column, v128.and(f32x4.mul(f32x4.splat(weight), slope), counted))
    }
    store<f32>(losses + ((<usize>row) << 2), weight * laneSum(sum))
  }
}
