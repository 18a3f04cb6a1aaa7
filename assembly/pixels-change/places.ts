// Where things lie behind a picture. A copy serves one kernel at a time; what a mixture keeps outlasts the kernels between.

/** Radius of the widest filter, in pixels. */
export const MAX_RADIUS: i32 = 192

/** Bytes of a picture, rounded up to whole vectors, and one more: kernels read a little behind the last pixel. */
export function pictureBytes(width: i32, height: i32): usize {
  return ((<usize>width * <usize>height * 3 + 15) & ~15) + 16
}

export function copyOf(picture: usize, width: i32, height: i32): usize {
  return picture + pictureBytes(width, height)
}

/** The picture that a mixture began with. */
export function originalOf(picture: usize, width: i32, height: i32): usize {
  return picture + 2 * pictureBytes(width, height)
}

/** f32 of each byte. */
export function sumsOf(picture: usize, width: i32, height: i32): usize {
  return picture + 3 * pictureBytes(width, height)
}

/** Two planes of f32 with a border as wide as the widest filter, and rows of floats. */
export function floatsOf(picture: usize, width: i32, height: i32): usize {
  return picture + 7 * pictureBytes(width, height)
}

/** Bytes that a picture takes with all that lies behind it; above 2^31 as a float. */
export function changeBytes(width: i32, height: i32, radius: i32): f64 {
  const wide = <f64>width + 2 * <f64>radius + 8
  const high = <f64>height + 2 * <f64>radius + 8
  const rows = 6 * wide + 2 * <f64>MAX_RADIUS + 4096
  return 7 * <f64>pictureBytes(width, height) + 4 * (2 * wide * high + rows)
}
