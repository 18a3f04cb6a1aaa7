import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resample } from '../../src/data/resample.ts'
import { shared } from './pictures.ts'

const grey = (values: readonly number[], width: number, height: number) => ({
  bytes: Uint8Array.from(values),
  width,
  height,
  channels: 1,
})

test('doubling a row bilinearly mixes neighbours three to one', async () => {
  const doubled = await resample(grey([0, 100, 200], 3, 1), 6, 1, { left: 0, top: 0, width: 6, height: 1 }, 'bilinear')
  expect([...doubled.bytes]).toEqual([0, 25, 75, 125, 175, 200])
})

test('shrinking takes every pixel into account', async () => {
  const halved = await resample(
    grey([0, 0, 255, 255], 4, 1),
    2,
    1,
    { left: 0, top: 0, width: 2, height: 1 },
    'bilinear',
  )
  // Weights 3, 3, 1 of 7 after the edge cuts the triangle off.
  expect([...halved.bytes]).toEqual([36, 219])
})

test('a window holds the same pixels as the whole', async () => {
  const values = Array.from({ length: 63 }, (_, i) => (i * 37) % 256)
  for (const interpolation of ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const) {
    const whole = await resample(grey(values, 9, 7), 20, 5, { left: 0, top: 0, width: 20, height: 5 }, interpolation)
    const part = await resample(grey(values, 9, 7), 20, 5, { left: 6, top: 1, width: 9, height: 3 }, interpolation)
    for (let y = 0; y < 3; y++) {
      const row = whole.bytes.subarray((y + 1) * 20 + 6, (y + 1) * 20 + 15)
      expect([...part.bytes.subarray(y * 9, y * 9 + 9)]).toEqual([...row])
    }
  }
})

test('the same size changes nothing', async () => {
  const values = [3, 250, 7, 99, 0, 255]
  const same = await resample(grey(values, 3, 2), 3, 2, { left: 0, top: 0, width: 3, height: 2 }, 'lanczos')
  expect([...same.bytes]).toEqual(values)
})

const recorded = join(shared, 'oracle', 'preprocess_synthetic')

describe.skipIf(!existsSync(recorded))('pictures resized by Pillow', () => {
  for (const name of existsSync(recorded) ? readdirSync(recorded) : []) {
    test(`${name} comes out with the same bytes`, async () => {
      const tensors = readTensors(join(recorded, name))
      const { image, resized } = { image: tensors('image'), resized: tensors('resized') }
      const [height = 0, width = 0] = resized.shape
      const picture = { bytes: image.bytes, width: image.shape[1] ?? 0, height: image.shape[0] ?? 0, channels: 3 }
      const interpolation = name.includes('bicubic') ? 'bicubic' : 'bilinear'
      const ours = await resample(picture, width, height, { left: 0, top: 0, width, height }, interpolation)
      expect(Buffer.from(ours.bytes).equals(resized.bytes)).toBe(true)
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
