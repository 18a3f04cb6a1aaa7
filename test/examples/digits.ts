// Digits as somebody with an unsteady hand writes them, drawn at random: what handwritten ones would be used for.
import { randomStream } from '../../src/random.ts'

/** Side of a picture in pixels. */
export const SIDE = 16
export const PIXELS = SIDE * SIDE

export interface Digits {
  readonly count: number
  /** f32[count, PIXELS], ink 1 on paper 0, with noise on both. */
  readonly pixels: Float32Array
  readonly labels: Int32Array
}

type Point = readonly [number, number]

/** Strokes in a box of side 1, y downwards. */
const strokes: readonly (readonly (readonly Point[])[])[] = [
  [ellipse(0.5, 0.5, 0.27, 0.4)],
  // biome-ignore format: a stroke is a line
  [[[0.34, 0.27], [0.55, 0.1], [0.55, 0.9]]],
  // biome-ignore format: a stroke is a line
  [[[0.25, 0.32], [0.31, 0.16], [0.5, 0.1], [0.69, 0.17], [0.72, 0.34], [0.6, 0.52], [0.24, 0.9], [0.78, 0.9]]],
  // biome-ignore format: a stroke is a line
  [[[0.25, 0.16], [0.5, 0.1], [0.71, 0.24], [0.6, 0.43], [0.42, 0.48], [0.68, 0.54], [0.75, 0.74], [0.55, 0.9], [0.24, 0.83]]],
  // biome-ignore format: a stroke is a line
  [[[0.62, 0.9], [0.62, 0.1], [0.2, 0.65], [0.82, 0.65]]],
  // biome-ignore format: a stroke is a line
  [[[0.72, 0.1], [0.32, 0.1], [0.28, 0.45], [0.54, 0.41], [0.74, 0.58], [0.69, 0.8], [0.46, 0.91], [0.24, 0.84]]],
  // biome-ignore format: a stroke is a line
  [[[0.66, 0.1], [0.41, 0.3], [0.28, 0.6], [0.34, 0.84], [0.54, 0.91], [0.72, 0.77], [0.67, 0.58], [0.48, 0.52], [0.3, 0.66]]],
  // biome-ignore format: a stroke is a line
  [[[0.22, 0.1], [0.78, 0.1], [0.42, 0.9]]],
  [ellipse(0.5, 0.29, 0.19, 0.19), ellipse(0.5, 0.69, 0.25, 0.21)],
  // biome-ignore format: a stroke is a line
  [[[0.34, 0.9], [0.59, 0.7], [0.72, 0.4], [0.66, 0.16], [0.46, 0.09], [0.28, 0.23], [0.33, 0.42], [0.52, 0.48], [0.7, 0.34]]],
]

function ellipse(x: number, y: number, width: number, height: number): readonly Point[] {
  return Array.from({ length: 17 }, (_, at) => {
    const angle = (at / 16) * 2 * Math.PI
    return [x + width * Math.sin(angle), y - height * Math.cos(angle)]
  })
}

/**
 * Digits in turn, each shifted, scaled, turned, slanted and of a pen of its own.
 * @param noise  deviation of what is added to each pixel
 */
export function drawDigits(count: number, seed: number, noise = 0.2): Digits {
  const pixels = new Float32Array(count * PIXELS)
  const labels = Int32Array.from({ length: count }, (_, index) => index % strokes.length)
  for (const [index, digit] of labels.entries()) {
    const random = randomStream({ seed, sample: index, purpose: 'a digit' })
    const between = (low: number, high: number) => low + (high - low) * random.uniform()
    const [scale, angle, slant] = [between(0.7, 1), between(-0.25, 0.25), between(-0.25, 0.25)]
    const [right, down, pen] = [between(-0.1, 0.1), between(-0.1, 0.1), between(0.05, 0.09)]
    const [sine, cosine] = [Math.sin(angle) * scale, Math.cos(angle) * scale]
    const placed = (strokes[digit] ?? []).map((stroke) =>
      stroke.map(([px, py]): Point => {
        const [y, x] = [py - 0.5, px - 0.5 - slant * (py - 0.5)]
        return [0.5 + right + cosine * x - sine * y, 0.5 + down + sine * x + cosine * y]
      }),
    )
    for (let at = 0; at < PIXELS; at++) {
      const [x, y] = [((at % SIDE) + 0.5) / SIDE, (Math.floor(at / SIDE) + 0.5) / SIDE]
      // The edge of the ink is a pixel wide.
      const ink = Math.min(1, Math.max(0, 0.5 + (pen - distance(placed, x, y)) * SIDE))
      pixels[index * PIXELS + at] = ink + noise * random.normal()
    }
  }
  return { count, pixels, labels }
}

/** From a point to the nearest stroke. */
function distance(placed: readonly (readonly Point[])[], x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY
  for (const stroke of placed)
    for (let at = 1; at < stroke.length; at++) {
      const [[ax, ay], [bx, by]] = [stroke[at - 1] ?? [0, 0], stroke[at] ?? [0, 0]]
      const [dx, dy] = [bx - ax, by - ay]
      const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)))
      nearest = Math.min(nearest, Math.hypot(x - ax - along * dx, y - ay - along * dy))
    }
  return nearest
}
