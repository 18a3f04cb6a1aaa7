/** Lightness of a pixel as Pillow rounds it: ITU-R 601-2. */
// @ts-ignore: decorator of AssemblyScript
@inline
export function lightOf(pixel: usize): i32 {
  const red = <i32>load<u8>(pixel)
  const green = <i32>load<u8>(pixel, 1)
  const blue = <i32>load<u8>(pixel, 2)
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
}
