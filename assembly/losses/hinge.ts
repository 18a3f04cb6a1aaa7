/**
 * loss = weight·sum over y of t_y·sum over j != y of max(0, margin - x_y + x_j)^power: the hinge loss of several classes, expected over the
 * label that t spreads. power is 1 or 2.
 * logits, targets, dLogits: f32[rows, S], the first C count; weights, losses: f32[rows]. weights may be null (1), dLogits too. Units are rows.
 * @see Weston & Watkins 1999, "Support vector machines for multi-class pattern recognition"
 */
export function multiclassHinge(
  logits: usize,
  targets: usize,
  weights: usize,
  losses: usize,
  dLogits: usize,
  C: i32,
  S: i32,
  margin: f32,
  power: i32,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let row = from; row < to; row++) {
    const source = logits + <usize>row * stride
    const target = targets + <usize>row * stride
    const gradient = dLogits ? dLogits + <usize>row * stride : 0
    const weight: f64 = weights ? <f64>load<f32>(weights + ((<usize>row) << 2)) : 1
    if (gradient) memory.fill(gradient, 0, stride)
    let loss: f64 = 0
    for (let y = 0; y < C; y++) {
      const t = <f64>load<f32>(target + ((<usize>y) << 2))
      if (t != 0) loss += t * againstLabel(source, gradient, y, C, <f64>margin, power, weight * t)
    }
    store<f32>(losses + ((<usize>row) << 2), <f32>(weight * loss))
  }
}

/** The loss where y is the label; its gradient, times `scale`, is added unless null. */
function againstLabel(x: usize, gradient: usize, y: i32, C: i32, margin: f64, power: i32, scale: f64): f64 {
  const label = (<usize>y) << 2
  const bar = <f64>load<f32>(x + label) - margin
  let loss: f64 = 0
  let pull: f64 = 0
  for (let j = 0; j < C; j++) {
    if (j == y) continue
    const at = (<usize>j) << 2
    const excess = <f64>load<f32>(x + at) - bar
    // Not `excess > 0`: a NaN must show in the loss.
    if (excess <= 0) continue
    loss += power == 2 ? excess * excess : excess
    const push = power == 2 ? 2 * excess * scale : scale
    pull += push
    if (gradient) store<f32>(gradient + at, <f32>(<f64>load<f32>(gradient + at) + push))
  }
  if (gradient) store<f32>(gradient + label, <f32>(<f64>load<f32>(gradient + label) - pull))
  return loss
}
