// Small pictures that a classifier can tell apart, drawn rather than stored.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { randomStream } from '../../src/random.ts'

const shapes = {
  bars: (x: number, _: number, size: number) => Math.floor((4 * x) / size) % 2 === 0,
  disc: (x: number, y: number, size: number) => Math.hypot(x - size / 2, y - size / 2) < size / 3,
  stairs: (x: number, y: number) => y > x,
} as const

/** RGB bytes of a picture: a shape in a colour of its own, with noise. */
export function drawPicture(shape: keyof typeof shapes, index: number, size: number): Uint8Array {
  const random = randomStream({ seed: 7, sample: index, purpose: `a drawn ${shape}` })
  const inside = [0, 1, 2].map(() => 120 + 120 * random.uniform())
  const outside = [0, 1, 2].map(() => 100 * random.uniform())
  const bytes = new Uint8Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const colour = shapes[shape](x, y, size) ? inside : outside
      for (const [channel, value] of colour.entries())
        bytes[(y * size + x) * 3 + channel] = value + 15 * random.uniform()
    }
  }
  return bytes
}

/** Writes `folder/<shape>/<n>.png`. @returns the files, in the order of their paths */
export async function drawFolder(folder: string, perClass = 8, size = 40): Promise<readonly string[]> {
  const files: string[] = []
  for (const shape of ['bars', 'disc', 'stairs'] as const) {
    mkdirSync(join(folder, shape), { recursive: true })
    for (let index = 0; index < perClass; index++) {
      const file = join(folder, shape, `${index}.png`)
      await sharp(drawPicture(shape, index, size), { raw: { width: size, height: size, channels: 3 } })
        .png()
        .toFile(file)
      files.push(file)
    }
  }
  return files
}
