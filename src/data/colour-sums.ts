import { breathing } from '../breath.ts'

/** Sums over the pixels of a picture, channel by channel. */
export interface ColourSums {
  readonly pixels: number
  readonly sums: readonly [number, number, number]
  /** Of the squares. */
  readonly squares: readonly [number, number, number]
}

/** Adds up RGB bytes; exact up to 10^11 pixels. */
export async function colourSums(bytes: Uint8Array): Promise<ColourSums> {
  let [r, g, b, rr, gg, bb] = [0, 0, 0, 0, 0, 0]
  const breath = breathing()
  const slice = 3 * 65_536
  for (let start = 0; start < bytes.length; start += slice) {
    const end = Math.min(bytes.length, start + slice)
    for (let i = start; i < end; i += 3) {
      const [red = 0, green = 0, blue = 0] = [bytes[i], bytes[i + 1], bytes[i + 2]]
      r += red
      g += green
      b += blue
      rr += red * red
      gg += green * green
      bb += blue * blue
    }
    if (breath.due()) await breath.pause()
  }
  return { pixels: bytes.length / 3, sums: [r, g, b], squares: [rr, gg, bb] }
}
