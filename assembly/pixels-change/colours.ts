import { lightOf } from './light'

// @ts-ignore: decorator of AssemblyScript
@inline
function storeByte(at: usize, value: f32): void {
  store<u8>(at, <i32>max<f32>(0, min<f32>(255, floor<f32>(value + 0.5))))
}

/** Away from the grey of the same lightness, or towards it. */
export function saturation(picture: usize, width: i32, height: i32, factor: f32): void {
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture += 3) {
    const grey = <f32>lightOf(picture)
    for (let c: usize = 0; c < 3; c++) storeByte(picture + c, grey + factor * (<f32>load<u8>(picture + c) - grey))
  }
}

export function grayscale(picture: usize, width: i32, height: i32): void {
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture += 3) {
    const grey = lightOf(picture)
    store<u8>(picture, grey)
    store<u8>(picture, grey, 1)
    store<u8>(picture, grey, 2)
  }
}

/** Turns the hue by this part of the circle of colours; largest and smallest byte of a pixel stay (HSV). */
export function hue(picture: usize, width: i32, height: i32, turn: f32): void {
  for (const end = picture + <usize>width * <usize>height * 3; picture < end; picture += 3) {
    const red = <i32>load<u8>(picture)
    const green = <i32>load<u8>(picture, 1)
    const blue = <i32>load<u8>(picture, 2)
    const high = max(red, max(green, blue))
    const low = min(red, min(green, blue))
    const range = high - low
    if (range == 0) continue
    const over: f32 = <f32>1 / <f32>range
    // In sixths of the circle, red at 0.
    let sixth: f32
    if (high == red) sixth = <f32>(green - blue) * over
    else if (high == green) sixth = 2 + <f32>(blue - red) * over
    else sixth = 4 + <f32>(red - green) * over
    sixth += turn * 6
    sixth -= floor<f32>(sixth / 6) * 6
    storeByte(picture, <f32>low + <f32>range * share(sixth))
    storeByte(picture + 1, <f32>low + <f32>range * share(sixth + 4))
    storeByte(picture + 2, <f32>low + <f32>range * share(sixth + 2))
  }
}

/** How much of the range red has at a hue: all of it up to a sixth on either side, nothing from two sixths on. */
// @ts-ignore: decorator of AssemblyScript
@inline
function share(sixth: f32): f32 {
  const within = sixth >= 6 ? sixth - 6 : sixth
  return max<f32>(0, min<f32>(1, abs(within - 3) - 1))
}
