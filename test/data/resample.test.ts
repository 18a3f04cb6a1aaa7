import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Pixels } from '../../src/data/pixels.ts'
import { interpolations } from '../../src/data/preprocessing.ts'
import { resample } from '../../src/data/resample.ts'
import { resampled } from '../reference/resample.ts'
import { shared } from './pictures.ts'

const picture = (width: number, height: number): Pixels => ({
  bytes: Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.imul(i, 2654435761) >>> 7) & 255),
  width,
  height,
  channels: 3,
})

const whole = (width: number, height: number) => ({ left: 0, top: 0, width, height })
const firstChannel = (bytes: Uint8Array) => [...bytes.filter((_, i) => i % 3 === 0)]
const grey = (values: readonly number[], width: number, height: number): Pixels => ({
  bytes: Uint8Array.from(values.flatMap((value) => [value, value, value])),
  width,
  height,
  channels: 3,
})

test('doubling a row bilinearly mixes neighbours three to one', async () => {
  const target = { width: 6, height: 1, window: whole(6, 1), interpolation: 'bilinear' } as const
  expect(firstChannel(await resample(grey([0, 100, 200], 3, 1), target))).toEqual([0, 25, 75, 125, 175, 200])
})

test('shrinking takes every pixel into account', async () => {
  const target = { width: 2, height: 1, window: whole(2, 1), interpolation: 'bilinear' } as const
  // Weights 3, 3, 1 of 7 after the edge cuts the triangle off.
  expect(firstChannel(await resample(grey([0, 0, 255, 255], 4, 1), target))).toEqual([36, 219])
})

/** Input width and height, output width and height: shrunk, grown, both, extreme. */
const sizes = [
  [320, 240, 298, 224],
  [213, 320, 256, 384],
  [3, 2, 40, 30],
  [500, 377, 64, 50],
  [17, 9, 17, 30],
  [1, 200, 56, 1120],
  [2000, 1, 256, 7],
  [64, 64, 64, 64],
] as const

describe.each(interpolations)('%s', (interpolation) => {
  test.each(sizes)('%i x %i to %i x %i is as the plain loop has it', async (width, height, toWidth, toHeight) => {
    const window = {
      left: Math.floor(toWidth * 0.1),
      top: Math.floor(toHeight * 0.2),
      width: Math.max(1, Math.floor(toWidth * 0.7)),
      height: Math.max(1, Math.min(100, Math.floor(toHeight * 0.6))),
    }
    const input = picture(width, height)
    const output = await resample(input, { width: toWidth, height: toHeight, window, interpolation })
    const expected = resampled(input, toWidth, toHeight, window, interpolation)
    expect(Buffer.from(output).equals(expected)).toBe(true)
  })
})

test('a picture of many strips is the same as one of a few', async () => {
  // Rows of 3 MB: one a strip.
  const input = picture(1_000_000, 3)
  const window = { left: 100, top: 0, width: 20, height: 2 }
  const output = await resample(input, { width: 500, height: 2, window, interpolation: 'bilinear' })
  expect(Buffer.from(output).equals(resampled(input, 500, 2, window, 'bilinear'))).toBe(true)
})

test('mirrored, every row is written from right to left', async () => {
  const target = {
    width: 9,
    height: 7,
    window: { left: 2, top: 1, width: 5, height: 4 },
    interpolation: 'bicubic',
  } as const
  const plain = await resample(picture(20, 10), target)
  const mirrored = await resample(picture(20, 10), { ...target, mirrored: true })
  for (let y = 0; y < 4; y++) {
    for (let x = 0; x < 5; x++) {
      const at = (y * 5 + x) * 3
      const from = (y * 5 + 4 - x) * 3
      expect([...mirrored.subarray(at, at + 3)]).toEqual([...plain.subarray(from, from + 3)])
    }
  }
})

test('CMYK becomes RGB by (255 - ink)(255 - black) / 255', async () => {
  const bytes = Uint8Array.from({ length: 256 * 16 * 4 }, (_, i) => (Math.imul(i, 2654435761) >>> 9) & 255)
  const target = { width: 256, height: 16, window: whole(256, 16), interpolation: 'bilinear' } as const
  const output = await resample({ bytes, width: 256, height: 16, channels: 4 }, target)
  const at = (i: number) => bytes[i] ?? Number.NaN
  const expected = Array.from(output, (_, i) => {
    const pixel = Math.floor(i / 3) * 4
    return Math.round(((255 - at(pixel + (i % 3))) * (255 - at(pixel + 3))) / 255)
  })
  expect([...output]).toEqual(expected)
})

test('many at a time give what one after the other gives', async () => {
  const jobs = Array.from({ length: 40 }, (_, i) => [picture(30 + i, 20), { width: 16, height: 12 + i }] as const)
  const run = ([input, size]: (typeof jobs)[number]) =>
    resample(input, { ...size, window: whole(16, 12), interpolation: 'lanczos' })
  const together = await Promise.all(jobs.map(run))
  for (const [i, job] of jobs.entries()) {
    const expected = resampled(job[0], job[1].width, job[1].height, whole(16, 12), 'lanczos')
    expect(Buffer.from(together[i] ?? []).equals(expected)).toBe(true)
  }
})

const recorded = join(shared, 'oracle', 'preprocess_synthetic')

describe.skipIf(!existsSync(recorded))('pictures resized by Pillow', () => {
  for (const name of existsSync(recorded) ? readdirSync(recorded) : []) {
    test(`${name} comes out with the same bytes`, async () => {
      const tensors = readTensors(join(recorded, name))
      const { image, resized } = { image: tensors('image'), resized: tensors('resized') }
      const [height = 0, width = 0] = resized.shape
      const picture = {
        bytes: image.bytes,
        width: image.shape[1] ?? 0,
        height: image.shape[0] ?? 0,
        channels: 3,
      } as const
      const interpolation = name.includes('bicubic') ? 'bicubic' : 'bilinear'
      const ours = await resample(picture, { width, height, window: whole(width, height), interpolation })
      expect(Buffer.from(ours).equals(resized.bytes)).toBe(true)
    })
  }
})

function readTensors(file: string): (name: string) => { bytes: Buffer; shape: number[] } {
  const bytes = readFileSync(file)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  return (name) => {
    const [start, end] = header[name].data_offsets
    return { bytes: bytes.subarray(8 + headerLength + start, 8 + headerLength + end), shape: header[name].shape }
  }
}
