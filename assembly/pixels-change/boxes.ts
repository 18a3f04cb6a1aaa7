import { copyOf, pictureBytes } from './places'

/** Left to right. */
export function flipHorizontally(picture: usize, width: i32, height: i32): void {
  const rowBytes = <usize>width * 3
  for (let y = 0; y < height; y++) {
    let left = picture + <usize>y * rowBytes
    let right = left + rowBytes - 3
    while (left < right) {
      for (let c: usize = 0; c < 3; c++) {
        const byte = load<u8>(left + c)
        store<u8>(left + c, load<u8>(right + c))
        store<u8>(right + c, byte)
      }
      left += 3
      right -= 3
    }
  }
}

/** Top to bottom. */
export function flipVertically(picture: usize, width: i32, height: i32): void {
  const copy = copyOf(picture, width, height)
  memory.copy(copy, picture, pictureBytes(width, height))
  const rowBytes = <usize>width * 3
  for (let y = 0; y < height; y++) {
    memory.copy(picture + <usize>y * rowBytes, copy + <usize>(height - 1 - y) * rowBytes, rowBytes)
  }
}

/** One colour in a box that lies in the picture. */
export function fillBox(
  picture: usize,
  width: i32,
  height: i32,
  left: i32,
  top: i32,
  boxWidth: i32,
  boxHeight: i32,
  red: i32,
  green: i32,
  blue: i32,
): void {
  for (let y = top; y < top + boxHeight; y++) {
    let at = picture + (<usize>y * <usize>width + <usize>left) * 3
    for (const end = at + <usize>boxWidth * 3; at < end; at += 3) {
      store<u8>(at, red)
      store<u8>(at, green, 1)
      store<u8>(at, blue, 2)
    }
  }
}
