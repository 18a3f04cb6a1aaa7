import { copyOf, pictureBytes } from './places'
import { colourOf, sampleTo } from './sample'

/** Each pixel (x, y) from (a·x + b·y + c, d·x + e·y + f), counted from the middle of the picture; `outside` as in sample.ts. */
export function affine(
  picture: usize,
  width: i32,
  height: i32,
  a: f64,
  b: f64,
  c: f64,
  d: f64,
  e: f64,
  f: f64,
  outside: i32,
  red: i32,
  green: i32,
  blue: i32,
): void {
  const source = copyOf(picture, width, height)
  memory.copy(source, picture, pictureBytes(width, height))
  const colour = colourOf(red, green, blue)
  const middleX = <f64>(width - 1) / 2
  const middleY = <f64>(height - 1) / 2
  let target = picture
  for (let row = 0; row < height; row++) {
    const y = <f64>row - middleY
    const startX = b * y + c + middleX
    const startY = e * y + f + middleY
    for (let column = 0; column < width; column++) {
      const x = <f64>column - middleX
      // Far outside there is nothing to tell apart, and integers end.
      const fromX = max<f64>(-1e6, min<f64>(1e6, a * x + startX))
      const fromY = max<f64>(-1e6, min<f64>(1e6, d * x + startY))
      sampleTo(target, source, width, height, fromX, fromY, outside, colour)
      target += 3
    }
  }
}
