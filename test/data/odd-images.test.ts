import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeImage, imageHeader } from '../../src/data/decode.ts'
import { shared, wholePicture } from './pictures.ts'

interface OddImage {
  readonly file: string
  readonly expect: 'decode' | 'reject' | 'decode_or_reject'
  readonly pillow_reference: { readonly size_upright: [number, number]; readonly mean_rgb: number[] | null } | null
}

// Its profile is no sRGB: the reference left it unread, and we convert.
const withForeignProfile = 'imagers_images_jpg_portrait_2.jpg'

const folder = join(shared, 'odd_images')
const present = existsSync(join(folder, 'index.json'))
const images: readonly OddImage[] = present ? JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) : []

describe.skipIf(!present)('odd and hostile pictures', () => {
  test.each(images.map((image) => [image.file, image] as const))('%s', async (name, image) => {
    const file = join(folder, 'files', name)
    const expected = image.expect
    const outcome = await decodeWhole(file).catch((error: unknown) => error)
    if (outcome instanceof Error) {
      expect(expected, outcome.message).not.toBe('decode')
      expect(outcome).toMatchObject({ code: 'data', file, message: expect.stringContaining(name) })
      return
    }
    expect(expected).not.toBe('reject')
    const reference = image.pillow_reference
    if (reference === null || name === withForeignProfile) return
    expect(outcome).toMatchObject({ size: reference.size_upright })
    const { mean } = outcome as Decoded // not an Error, as told apart above
    for (const [channel, value] of (reference.mean_rgb ?? []).entries()) {
      expect(Math.abs((mean[channel] ?? 0) - value)).toBeLessThan(0.5)
    }
  })
})

const photos = join(shared, 'weights', 'photos')

describe.skipIf(!existsSync(photos))('photos resized and cropped by Pillow', () => {
  const cases = [
    ['mobilenet_v1_0.25_128', 128, 146],
    ['mobilenet_v1_0.5_160', 160, 183],
    ['mobilenet_v1_1.0_224', 224, 256],
  ] as const
  test.each(cases)('%s', async (model, size, short) => {
    for (const photo of ['owl.jpg', 'hot_dog.jpg', 'cat_720p.jpg', 'sunflower.png']) {
      const { width, height } = await imageHeader(join(photos, photo))
      const long = Math.round((width * short) / height)
      // These were made with rounded sizes and offsets; the middle is cut out of the whole, squashed to that size.
      const fast = await decodeImage(join(photos, photo), { ...wholePicture(long, short), resize: 'fast' })
      const exact = await decodeImage(join(photos, photo), { ...wholePicture(long, short), resize: 'exact' })
      const name = photo.replace(/\..*/, `_${size}.png`)
      const wanted = await decodeImage(join(shared, 'weights', model, 'pixels', name), wholePicture(size, size))
      const left = Math.floor((long - size) / 2)
      const top = Math.floor((short - size) / 2)
      expect(Buffer.from(cut(exact, long, left, top, size)).equals(wanted), photo).toBe(true)
      expect(meanDifference(cut(fast, long, left, top, size), wanted), photo).toBeLessThan(0.4)
    }
  })
})

interface Decoded {
  readonly size: readonly [number, number]
  readonly mean: readonly number[]
}

async function decodeWhole(file: string): Promise<Decoded> {
  const { width, height } = await imageHeader(file)
  const bytes = await decodeImage(file, wholePicture(width, height))
  const sums = [0, 0, 0]
  for (let i = 0; i < bytes.length; i++) sums[i % 3] = (sums[i % 3] ?? 0) + (bytes[i] ?? 0)
  return { size: [width, height], mean: sums.map((sum) => sum / (width * height)) }
}

function cut(bytes: Uint8Array, width: number, left: number, top: number, size: number): Uint8Array {
  const rows = Array.from({ length: size }, (_, y) => {
    const start = ((top + y) * width + left) * 3
    return bytes.subarray(start, start + size * 3)
  })
  return Buffer.concat(rows)
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length
}
