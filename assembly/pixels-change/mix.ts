// A weighted mean of several versions of a picture: start, then change, add and restart for each of them, then finish.
import { originalOf, pictureBytes, sumsOf } from './places'

/** Keeps the picture, and sets the sums to zero. */
export function mixStart(picture: usize, width: i32, height: i32): void {
  const bytes = pictureBytes(width, height)
  memory.copy(originalOf(picture, width, height), picture, bytes)
  memory.fill(sumsOf(picture, width, height), 0, bytes << 2)
}

/** The picture as it was. */
export function mixRestart(picture: usize, width: i32, height: i32): void {
  memory.copy(picture, originalOf(picture, width, height), pictureBytes(width, height))
}

export function mixAdd(picture: usize, width: i32, height: i32, weight: f32): void {
  let sum = sumsOf(picture, width, height)
  const factor = f32x4.splat(weight)
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture += 4) {
    const bytes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(picture)))
    v128.store(sum, f32x4.add(v128.load(sum), f32x4.mul(f32x4.convert_i32x4_s(bytes), factor)))
    sum += 16
  }
}

/** (1 - share)·picture as it was + share·sums. */
export function mixFinish(picture: usize, width: i32, height: i32, share: f32): void {
  let original = originalOf(picture, width, height)
  let sum = sumsOf(picture, width, height)
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture++) {
    const value: f32 = (<f32>1 - share) * <f32>load<u8>(original) + share * load<f32>(sum)
    store<u8>(picture, <i32>max<f32>(0, min<f32>(255, floor<f32>(value + 0.5))))
    original += 1
    sum += 4
  }
}
