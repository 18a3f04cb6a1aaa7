import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { onTestFinished } from 'vitest'
import type { Preprocessing } from '../../src/data/preprocessing.ts'
import { randomStream } from '../../src/random.ts'

/** Folder with the photos and recorded results that are no part of the repository. */
export const shared = join(import.meta.dirname, '..', '..', '..', 'shared')

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'regraft-data-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Every pixel of the picture, unchanged. */
export function wholePicture(width: number, height: number): Preprocessing {
  return { width, height, cropPct: 1, interpolation: 'bilinear', cropMode: 'squash', mean: [0, 0, 0], std: [1, 1, 1] }
}

/** Raw RGB pixels with red, green, blue and white quarters: the corners tell which way is up. */
export function quarters(width: number, height: number): Buffer {
  const colours = [red, green, blue, white]
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = colours[(y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)] ?? white
      pixels.set(colour, (y * width + x) * 3)
    }
  }
  return pixels
}

export const red = [255, 0, 0] as const
export const green = [0, 255, 0] as const
export const blue = [0, 0, 255] as const
export const white = [255, 255, 255] as const

/** Sharp over raw RGB pixels. */
export function fromRaw(pixels: Uint8Array, width: number, height: number, channels: 1 | 3 | 4 = 3): Sharp {
  return sharp(pixels, { raw: { width, height, channels } })
}

/** A PNG of one colour. */
export async function plainPng(colour: readonly [number, number, number], width = 12, height = 8): Promise<Buffer> {
  const [r, g, b] = colour
  return await sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer()
}

/** Writes files below a folder; undefined as contents makes a small picture. */
export async function fill(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array | undefined>>,
): Promise<void> {
  const picture = await plainPng(red)
  for (const [path, contents] of Object.entries(files)) {
    const file = join(folder, path)
    await mkdir(path.endsWith('/') ? file : dirname(file), { recursive: true })
    if (!path.endsWith('/')) await writeFile(file, contents ?? picture)
  }
}

/** The pixel of RGB bytes at a place. */
export function pixel(bytes: Uint8Array, width: number, x: number, y: number): number[] {
  return [...bytes.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)]
}

/** Soft blots of colour: as a photo, something at every scale. */
export function blots(seed: number): Sharp {
  const draw = randomStream({ seed, purpose: 'blots' })
  const [width, height] = [120, 90]
  const waves = Array.from({ length: 12 }, () => ({
    x: (draw.uniform() * 2 - 1) * 0.15,
    y: (draw.uniform() * 2 - 1) * 0.15,
    phase: draw.uniform() * 6,
    colour: [draw.uniform(), draw.uniform(), draw.uniform()],
  }))
  const pixels = Buffer.alloc(width * height * 3)
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      let value = 128
      for (const { x, y, phase, colour } of waves) {
        value += 20 * (colour[c] ?? 0) * Math.sin(x * (i % width) + y * Math.floor(i / width) + phase)
      }
      pixels[i * 3 + c] = Math.max(0, Math.min(255, Math.round(value)))
    }
  }
  return fromRaw(pixels, width, height)
}
