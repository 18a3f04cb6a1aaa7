/** y[r, c] = x[r, c]·scale[c].  x, y: f32[rows, S]  scale: f32[S].  Units: rows. y may be x. */
export function scaleChannels(x: usize, y: usize, S: i32, scale: usize, from: i32, to: i32): void {
  const rowBytes = (<usize>S) << 2
  const offset = <usize>from * rowBytes
  let source = x + offset
  let target = y + offset
  for (let row = from; row < to; row++) {
    for (let c: usize = 0; c < rowBytes; c += 16) {
      v128.store(target + c, f32x4.mul(v128.load(source + c), v128.load(scale + c)))
    }
    source += rowBytes
    target += rowBytes
  }
}
