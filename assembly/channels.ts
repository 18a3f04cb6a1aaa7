// Channels moved between values: the parts of a concatenation, a part of a value, and ShuffleNet's shuffle.

/**
 * y = x, or y += x, for C channels of each row.  x: f32[rows, inputS], y: f32[rows, outputS], both from the first of the channels on,
 * wherever in their rows that lies. Channels beside them stay as they are. Units are rows.
 */
export function copyChannels(
  x: usize,
  y: usize,
  C: i32,
  inputS: i32,
  outputS: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const whole = <usize>(C & ~3) << 2
  const all = <usize>C << 2
  let source = x + <usize>from * (<usize>inputS << 2)
  let target = y + <usize>from * (<usize>outputS << 2)
  for (let row = from; row < to; row++) {
    if (accumulate) {
      for (let i: usize = 0; i < whole; i += 16) {
        v128.store(target + i, f32x4.add(v128.load(target + i), v128.load(source + i)))
      }
      for (let i = whole; i < all; i += 4) store<f32>(target + i, load<f32>(target + i) + load<f32>(source + i))
    } else {
      for (let i: usize = 0; i < whole; i += 16) v128.store(target + i, v128.load(source + i))
      for (let i = whole; i < all; i += 4) store<f32>(target + i, load<f32>(source + i))
    }
    source += <usize>inputS << 2
    target += <usize>outputS << 2
  }
}

/**
 * y[i·groups + j] = x[j·C/groups + i], written, or added: C channels as a matrix of `groups` rows, transposed. With C/groups it is undone.
 * x, y: f32[rows, S], zeros from C on. Units are rows.
 */
export function shuffleChannels(
  x: usize,
  y: usize,
  C: i32,
  S: i32,
  groups: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const each = C / groups
  const stride = <usize>S << 2
  const padding = <usize>(S - C) << 2
  for (let row = from; row < to; row++) {
    const source = x + <usize>row * stride
    let target = y + <usize>row * stride
    for (let i = 0; i < each; i++) {
      for (let j = 0; j < groups; j++) {
        const value = load<f32>(source + (<usize>(j * each + i) << 2))
        store<f32>(target, accumulate ? load<f32>(target) + value : value)
        target += 4
      }
    }
    if (!accumulate) memory.fill(target, 0, padding)
  }
}
