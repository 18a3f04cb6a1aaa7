// Changes that give each byte another one, by a table for each channel.
import { copyOf } from './places'
import { lightOf } from './light'

/** The table of a channel lies where copies do. */
// @ts-ignore: decorator of AssemblyScript
@inline
function tableOf(picture: usize, width: i32, height: i32, channel: i32): usize {
  return copyOf(picture, width, height) + (<usize>channel << 8)
}

function apply(picture: usize, width: i32, height: i32): void {
  const table = tableOf(picture, width, height, 0)
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture += 3) {
    store<u8>(picture, load<u8>(table + <usize>load<u8>(picture)))
    store<u8>(picture, load<u8>(table + <usize>load<u8>(picture, 1), 256), 1)
    store<u8>(picture, load<u8>(table + <usize>load<u8>(picture, 2), 512), 2)
  }
}

/** pivot + factor·(byte - pivot), rounded, within 0 to 255. */
function stretch(picture: usize, width: i32, height: i32, factor: f64, pivot: f64): void {
  for (let channel = 0; channel < 3; channel++) {
    const table = tableOf(picture, width, height, channel)
    for (let i = 0; i < 256; i++) {
      const value = floor(pivot + factor * (<f64>i - pivot) + 0.5)
      store<u8>(table + <usize>i, <i32>max<f64>(0, min<f64>(255, value)))
    }
  }
  apply(picture, width, height)
}

export function brightness(picture: usize, width: i32, height: i32, factor: f64): void {
  stretch(picture, width, height, factor, 0)
}

/** Away from the mean lightness, or towards it. */
export function contrast(picture: usize, width: i32, height: i32, factor: f64): void {
  const pixels = <usize>width * <usize>height
  let sum: u64 = 0
  for (let at = picture, end = picture + pixels * 3; at < end; at += 3) sum += <u64>lightOf(at)
  stretch(picture, width, height, factor, <f64>sum / <f64>pixels)
}

/** Keeps the upper bits of each byte. */
export function posterize(picture: usize, width: i32, height: i32, bits: i32): void {
  const mask = 256 - (1 << (8 - bits))
  for (let channel = 0; channel < 3; channel++) {
    const table = tableOf(picture, width, height, channel)
    for (let i = 0; i < 256; i++) store<u8>(table + <usize>i, i & mask)
  }
  apply(picture, width, height)
}

/** Inverts what is not below the threshold. */
export function solarize(picture: usize, width: i32, height: i32, threshold: f64): void {
  for (let channel = 0; channel < 3; channel++) {
    const table = tableOf(picture, width, height, channel)
    for (let i = 0; i < 256; i++) store<u8>(table + <usize>i, <f64>i < threshold ? i : 255 - i)
  }
  apply(picture, width, height)
}

export function invert(picture: usize, width: i32, height: i32): void {
  solarize(picture, width, height, 0)
}

function countBytes(picture: usize, width: i32, height: i32, channel: i32, counts: usize): void {
  memory.fill(counts, 0, 1024)
  const end = picture + <usize>width * <usize>height * 3
  for (let at = picture + <usize>channel; at < end; at += 3) {
    const count = counts + (<usize>load<u8>(at) << 2)
    store<i32>(count, load<i32>(count) + 1)
  }
}

/** Each channel from its smallest and largest byte to 0 and 255. */
export function autocontrast(picture: usize, width: i32, height: i32): void {
  for (let channel = 0; channel < 3; channel++) {
    let low = 255
    let high = 0
    const end = picture + <usize>width * <usize>height * 3
    for (let at = picture + <usize>channel; at < end; at += 3) {
      const byte = <i32>load<u8>(at)
      low = min(low, byte)
      high = max(high, byte)
    }
    const table = tableOf(picture, width, height, channel)
    for (let i = 0; i < 256; i++) {
      const value = high > low ? (510 * (i - low) + (high - low)) / (2 * (high - low)) : i
      store<u8>(table + <usize>i, max(0, min(255, value)))
    }
  }
  apply(picture, width, height)
}

/** Each channel so that all bytes come about equally often, as Pillow's ImageOps.equalize does. */
export function equalize(picture: usize, width: i32, height: i32): void {
  const counts = tableOf(picture, width, height, 4)
  for (let channel = 0; channel < 3; channel++) {
    countBytes(picture, width, height, channel, counts)
    let last = 255
    while (load<i32>(counts + (<usize>last << 2)) == 0) last--
    const step = (width * height - load<i32>(counts + (<usize>last << 2))) / 255
    const table = tableOf(picture, width, height, channel)
    let sum = step / 2
    for (let i = 0; i < 256; i++) {
      store<u8>(table + <usize>i, step == 0 ? i : min(255, sum / step))
      sum += load<i32>(counts + (<usize>i << 2))
    }
  }
  apply(picture, width, height)
}
