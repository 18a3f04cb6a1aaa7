/**
 * RGB bytes to f32[pixel, 4]: (v/255 - mean)/std, the fourth lane 0; two divisions, rounded as PyTorch rounds them.
 * meanStd: f32, 3 means and 3 standard deviations. Units are pixels.
 */
export function bytesToFloats(bytes: usize, y: usize, meanStd: usize, from: i32, to: i32): void {
  const mean = f32x4(load<f32>(meanStd, 0), load<f32>(meanStd, 4), load<f32>(meanStd, 8), 0)
  const deviation = f32x4(load<f32>(meanStd, 12), load<f32>(meanStd, 16), load<f32>(meanStd, 20), 1)
  const full = f32x4.splat(255)
  let source = bytes + <usize>from * 3
  const end = y + ((<usize>to) << 4)
  for (let target = y + ((<usize>from) << 4); target < end; target += 16) {
    const colour = i32x4(load<u8>(source, 0), load<u8>(source, 1), load<u8>(source, 2), 0)
    const value = f32x4.div(f32x4.convert_i32x4_s(colour), full)
    v128.store(target, f32x4.div(f32x4.sub(value, mean), deviation))
    source += 3
  }
}
