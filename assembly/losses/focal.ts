import { exponential } from '../approximations/exponential'
import { rowMaximum } from './softmax'

/**
 * loss = -weight·sum t·(1 - p)^gamma·log p with p = softmax(x): what is known well already counts less. gamma >= 0; 0 is cross-entropy.
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits too. Units are rows.
 * @see Lin et al. 2017, https://arxiv.org/abs/1708.02002
 */
export function softmaxFocal(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  gamma: f32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const source = logits + <usize>row * stride
    const target = targets + <usize>row * stride
    const weight: f64 = weights ? <f64>load<f32>(weights + ((<usize>row) << 2)) : 1
    const maximum = rowMaximum(source, C)
    // In f64, so that the sum without p's own term, and with it 1 - p, keeps its digits where p is nearly 1.
    let sum: f64 = 0
    for (let c = 0; c < C; c++) sum += powerAt(source, c, maximum)
    const logarithm = Math.log(sum)
    let loss: f64 = 0
    let known: f64 = 0
    for (let c = 0; c < C; c++) {
      const t = <f64>load<f32>(target + ((<usize>c) << 2))
      if (t == 0) continue
      const logP = logarithmAt(source, c, maximum, logarithm)
      loss -= t * Math.pow(doubt(source, c, maximum, sum), <f64>gamma) * logP
      known += t * steepness(source, c, maximum, sum, logP, <f64>gamma)
    }
    store<f32>(losses + ((<usize>row) << 2), <f32>(weight * loss))
    if (!dLogits) continue
    const gradient = dLogits + <usize>row * stride
    for (let c = 0; c < S; c++) {
      let value: f64 = 0
      if (c < C) {
        const t = <f64>load<f32>(target + ((<usize>c) << 2))
        value = -(powerAt(source, c, maximum) / sum) * known
        if (t != 0) {
          const logP = logarithmAt(source, c, maximum, logarithm)
          value += t * steepness(source, c, maximum, sum, logP, <f64>gamma)
        }
      }
      store<f32>(gradient + ((<usize>c) << 2), <f32>(weight * value))
    }
  }
}

/** e^(x - maximum). */
// @ts-ignore: decorator
@inline
function powerAt(x: usize, c: i32, maximum: f32): f64 {
  return <f64>f32x4.extract_lane(exponential(f32x4.splat(load<f32>(x + ((<usize>c) << 2)) - maximum)), 0)
}

// @ts-ignore: decorator
@inline
function logarithmAt(x: usize, c: i32, maximum: f32, logarithm: f64): f64 {
  return <f64>load<f32>(x + ((<usize>c) << 2)) - <f64>maximum - logarithm
}

/** 1 - p. */
// @ts-ignore: decorator
@inline
function doubt(x: usize, c: i32, maximum: f32, sum: f64): f64 {
  return (sum - powerAt(x, c, maximum)) / sum
}

/** p times the derivative of -(1 - p)^gamma·log p with respect to p: the loss of class c moves by this·(1 where j = c, minus p_j). */
function steepness(x: usize, c: i32, maximum: f32, sum: f64, logP: f64, gamma: f64): f64 {
  const q = doubt(x, c, maximum, sum)
  const whole = Math.pow(q, gamma)
  // The second term goes to 0 with q, for (1 - p)^(gamma - 1)·log p is about -(1 - p)^gamma; as written it would be 0·infinity.
  if (q == 0) return -whole
  return gamma * (powerAt(x, c, maximum) / sum) * (whole / q) * logP - whole
}
