// Maxout: channels k·c … k·c + k - 1 compete for channel c of the output. Goodfellow et al. 2013, https://arxiv.org/abs/1302.4389

/** Offset in bytes of the largest of k values; the first of equal ones, and NaN wins. */
// @ts-ignore: decorator
@inline
function winner(x: usize, k: i32): usize {
  let best = load<f32>(x)
  let at: usize = 0
  for (let j = 1; j < k; j++) {
    const value = load<f32>(x + ((<usize>j) << 2))
    if (value > best || (value != value && best == best)) {
      best = value
      at = (<usize>j) << 2
    }
  }
  return at
}

/** y[c] = max over j of x[k·c + j].  x: f32[rows, inputS], y: f32[rows, S] with C channels and zeros behind. Units are rows. */
export function maxoutForward(x: usize, y: usize, C: i32, S: i32, k: i32, inputS: i32, from: i32, to: i32): void {
  for (let row = from; row < to; row++) {
    const source = x + ((<usize>row * <usize>inputS) << 2)
    const target = y + ((<usize>row * <usize>S) << 2)
    for (let c = 0; c < S; c++) {
      const pieces = source + ((<usize>(c * k)) << 2)
      store<f32>(target + ((<usize>c) << 2), c < C ? load<f32>(pieces + winner(pieces, k)) : 0)
    }
  }
}

/** dx = dy at the winners, else 0; written, or added. The winners are looked for again in x. Units are rows. */
export function maxoutBackward(
  x: usize,
  dy: usize,
  dx: usize,
  C: i32,
  S: i32,
  k: i32,
  inputS: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const inputStride = (<usize>inputS) << 2
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * inputStride
    const target = dx + <usize>row * inputStride
    const gradient = dy + ((<usize>row * <usize>S) << 2)
    if (!accumulate) memory.fill(target, 0, inputStride)
    for (let c = 0; c < C; c++) {
      const pieces = (<usize>(c * k)) << 2
      const at = target + pieces + winner(source + pieces, k)
      store<f32>(at, load<f32>(at) + load<f32>(gradient + ((<usize>c) << 2)))
    }
  }
}
