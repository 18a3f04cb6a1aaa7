import { rowExponentials, rowMaximum } from './softmax'

/**
 * loss = -weight·sum t·log softmax(x), dLogits = weight·(sum(t)·softmax(x) - t).
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits null or logits.
 * Where t is 0 the logit may be infinite: the term is 0. The sums with t and the logarithm are in f64. Units are rows.
 */
export function softmaxCrossEntropy(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const source = logits + <usize>row * stride
    const target = targets + <usize>row * stride
    const gradient = dLogits ? dLogits + <usize>row * stride : 0
    const weight: f32 = weights ? load<f32>(weights + ((<usize>row) << 2)) : 1
    const maximum = rowMaximum(source, C)
    let total: f64 = 0
    let weighted: f64 = 0
    for (let c = 0; c < C; c++) {
      const t = <f64>load<f32>(target + ((<usize>c) << 2))
      if (t == 0) continue
      total += t
      weighted += t * (<f64>load<f32>(source + ((<usize>c) << 2)) - <f64>maximum)
    }
    const sum = rowExponentials(source, gradient, C, maximum)
    // A row without target (an ignored sample) costs nothing, whatever its logits.
    const loss = total == 0 ? 0 : <f64>weight * (total * Math.log(<f64>sum) - weighted)
    store<f32>(losses + ((<usize>row) << 2), <f32>loss)
    if (gradient) writeGradient(gradient, target, stride, <f32>total, sum, weight)
  }
}

function writeGradient(gradient: usize, target: usize, stride: usize, total: f32, sum: f32, weight: f32): void {
  const totals = f32x4.splat(total)
  const sums = f32x4.splat(sum)
  const weights = f32x4.splat(weight)
  for (let c: usize = 0; c < stride; c += 16) {
    const probability = f32x4.div(v128.load(gradient + c), sums)
    const difference = f32x4.sub(f32x4.mul(totals, probability), v128.load(target + c))
    v128.store(gradient + c, f32x4.mul(weights, difference))
  }
}
