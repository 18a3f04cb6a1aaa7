// A pixel between pixels, by bilinear interpolation in integers: places have 11 bits after the point, sums 22.

const BITS: i32 = 11
const ONE: i32 = 1 << BITS

/** What lies outside of a picture: one colour, its nearest pixel, or the picture mirrored at its outermost pixels. */
export const COLOUR: i32 = 0
export const EDGE: i32 = 1

/**
 * Writes the pixel at (x, y), in pixels of the source, to target; (0, 0) is the middle of the first one. Reads up to two bytes behind
 * the last pixel.
 */
// @ts-ignore: decorator of AssemblyScript
@inline
export function sampleTo(
  target: usize,
  source: usize,
  width: i32,
  height: i32,
  x: f64,
  y: f64,
  outside: i32,
  colour: u32,
): void {
  const left = floor(x)
  const top = floor(y)
  const column = <i32>left
  const row = <i32>top
  const right = <i32>((x - left) * <f64>ONE + 0.5)
  const below = <i32>((y - top) * <f64>ONE + 0.5)
  if (column >= 0 && row >= 0 && column + 1 < width && row + 1 < height) {
    // R R G G B B of two neighbours, each widened to 16 bits.
    const order = i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1)
    const weights = i32x4.splat((ONE - right) | (right << 16))
    const first = source + (<usize>row * <usize>width + <usize>column) * 3
    const upper = i32x4.dot_i16x8_s(i8x16.swizzle(v128.load64_zero(first), order), weights)
    const lower = i32x4.dot_i16x8_s(i8x16.swizzle(v128.load64_zero(first + <usize>width * 3), order), weights)
    let sum = i32x4.add(i32x4.mul(upper, i32x4.splat(ONE - below)), i32x4.mul(lower, i32x4.splat(below)))
    sum = i32x4.shr_u(i32x4.add(sum, i32x4.splat(1 << (2 * BITS - 1))), 2 * BITS)
    store<u8>(target, i32x4.extract_lane(sum, 0))
    store<u8>(target, i32x4.extract_lane(sum, 1), 1)
    store<u8>(target, i32x4.extract_lane(sum, 2), 2)
    return
  }
  for (let c = 0; c < 3; c++) {
    const a = byteAt(source, width, height, column, row, outside, colour, c)
    const b = byteAt(source, width, height, column + 1, row, outside, colour, c)
    const d = byteAt(source, width, height, column, row + 1, outside, colour, c)
    const e = byteAt(source, width, height, column + 1, row + 1, outside, colour, c)
    const upper = a * (ONE - right) + b * right
    const lower = d * (ONE - right) + e * right
    const sum = upper * (ONE - below) + lower * below
    store<u8>(target + <usize>c, (sum + (1 << (2 * BITS - 1))) >> (2 * BITS))
  }
}

function byteAt(
  source: usize,
  width: i32,
  height: i32,
  column: i32,
  row: i32,
  outside: i32,
  colour: u32,
  channel: i32,
): i32 {
  let x = column
  let y = row
  if (x < 0 || y < 0 || x >= width || y >= height) {
    if (outside == COLOUR) return <i32>((colour >> (channel << 3)) & 255)
    x = outside == EDGE ? max(0, min(width - 1, x)) : mirrored(x, width)
    y = outside == EDGE ? max(0, min(height - 1, y)) : mirrored(y, height)
  }
  return <i32>load<u8>(source + (<usize>y * <usize>width + <usize>x) * 3 + <usize>channel)
}

function mirrored(at: i32, size: i32): i32 {
  const period = 2 * (size - 1)
  if (period == 0) return 0
  const within = ((at % period) + period) % period
  return within < size ? within : period - within
}

/** Three bytes as one number. */
export function colourOf(red: i32, green: i32, blue: i32): u32 {
  return <u32>(red | (green << 8) | (blue << 16))
}
