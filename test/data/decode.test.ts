import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { decodeImage, imageHeader } from '../../src/data/decode.ts'
import { RegraftError } from '../../src/errors.ts'
import { bmp } from './bmp-file.ts'
import {
  blue,
  fromRaw,
  green,
  pixel,
  plainPng,
  quarters,
  red,
  temporaryFolder,
  white,
  wholePicture,
} from './pictures.ts'

const corners = (bytes: Uint8Array, width: number, height: number) =>
  [
    [1, 1],
    [width - 2, 1],
    [1, height - 2],
    [width - 2, height - 2],
  ].map(([x = 0, y = 0]) => pixel(bytes, width, x, y))

test('pixels of a picture of the right size are the very bytes of the file', async () => {
  const pixels = Buffer.from(Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 89) % 256))
  const png = await fromRaw(pixels, 16, 16).png().toBuffer()
  for (const cropMode of ['center', 'squash', 'border'] as const) {
    expect(Buffer.from(await decodeImage(png, { ...wholePicture(16, 16), cropMode })).equals(pixels)).toBe(true)
  }
})

/** Where the pixel stored at (column, row) belongs in the upright picture of 24x16. EXIF 2.32, tag Orientation. */
const upright: Readonly<Record<number, (column: number, row: number) => readonly [number, number]>> = {
  1: (column, row) => [column, row],
  2: (column, row) => [23 - column, row],
  3: (column, row) => [23 - column, 15 - row],
  4: (column, row) => [column, 15 - row],
  5: (column, row) => [row, column],
  6: (column, row) => [23 - row, column],
  7: (column, row) => [23 - row, 15 - column],
  8: (column, row) => [row, 15 - column],
}

function storedTurned(orientation: number): { pixels: Buffer; width: number; height: number } {
  const [width, height] = orientation < 5 ? [24, 16] : [16, 24]
  const picture = quarters(24, 16)
  const pixels = Buffer.alloc(picture.length)
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [x = 0, y = 0] = upright[orientation]?.(column, row) ?? []
      pixels.set(pixel(picture, 24, x, y), (row * width + column) * 3)
    }
  }
  return { pixels, width, height }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('EXIF orientation %i comes out upright', async (orientation) => {
  const { pixels, width, height } = storedTurned(orientation)
  const jpeg = await fromRaw(pixels, width, height)
    .withMetadata({ orientation })
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer()
  expect(await imageHeader(jpeg)).toMatchObject({ orientation, kind: 'jpeg', width: 24, height: 16 })
  const bytes = await decodeImage(jpeg, wholePicture(24, 16))
  for (const [i, colour] of [red, green, blue, white].entries()) {
    for (let c = 0; c < 3; c++) expect(corners(bytes, 24, 16)[i]?.[c]).toBeCloseTo(colour[c] ?? 0, -1.5)
  }
  // The same frame of the upright picture, whatever the orientation: its red quarter, and its mirror image.
  const frame = { left: 0, top: 0, width: 12, height: 8, flip: false }
  const part = await decodeImage(jpeg, wholePicture(6, 4), frame)
  expect(pixel(part, 6, 2, 2)[0]).toBeGreaterThan(240)
  expect(pixel(part, 6, 2, 2)[1]).toBeLessThan(15)
  const wide = await decodeImage(jpeg, wholePicture(12, 8), { left: 0, top: 0, width: 24, height: 8, flip: true })
  expect(pixel(wide, 12, 1, 3)[1]).toBeGreaterThan(240)
  expect(pixel(wide, 12, 10, 3)[0]).toBeGreaterThan(240)
})

describe('every kind of pixel becomes three bytes of sRGB', () => {
  test('grey', async () => {
    const png = await fromRaw(Buffer.alloc(64, 100), 8, 8, 1).toColourspace('b-w').png().toBuffer()
    expect((await sharp(png).metadata()).channels).toBe(1)
    expect(new Set(await decodeImage(png, wholePicture(8, 8)))).toEqual(new Set([100]))
  })

  test('16 bit', async () => {
    const png = await fromRaw(Buffer.alloc(192, 100), 8, 8).toColourspace('rgb16').png().toBuffer()
    expect((await sharp(png).metadata()).depth).toBe('ushort')
    expect(new Set(await decodeImage(png, wholePicture(8, 8)))).toEqual(new Set([100]))
  })

  test('CMYK without a profile, by the formula of Pillow', async () => {
    // 20 % cyan, nothing else: (255 - 51, 255, 255).
    const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'white' } })
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer()
    expect((await sharp(jpeg).metadata()).space).toBe('cmyk')
    const bytes = await decodeImage(jpeg, wholePicture(8, 8))
    expect(bytes.length).toBe(192)
    expect(Math.min(...bytes)).toBeGreaterThan(245)
  })

  test('palette with transparency, over white', async () => {
    const rgba = Buffer.from(Array.from({ length: 64 }, (_, i) => (i % 2 ? [0, 0, 0, 0] : [0, 0, 255, 255])).flat())
    const png = await fromRaw(rgba, 8, 8, 4).png({ palette: true }).toBuffer()
    const bytes = await decodeImage(png, wholePicture(8, 8))
    expect(pixel(bytes, 8, 0, 0)).toEqual([...blue])
    expect(pixel(bytes, 8, 1, 0)).toEqual([...white])
  })

  test('half transparent, mixed with white; dropped when reading as timm does', async () => {
    const rgba = Buffer.from(Array.from({ length: 64 }, () => [0, 0, 0, 128]).flat())
    const png = await fromRaw(rgba, 8, 8, 4).png().toBuffer()
    expect(pixel(await decodeImage(png, wholePicture(8, 8)), 8, 3, 3)).toEqual([127, 127, 127])
    expect(pixel(await decodeImage(png, { ...wholePicture(8, 8), reading: 'timm' }), 8, 3, 3)).toEqual([0, 0, 0])
  })

  test('a wide-gamut profile', async () => {
    const png = await fromRaw(Buffer.from([...red, ...red, ...red, ...red]), 2, 2)
      .withIccProfile('p3')
      .png()
      .toBuffer()
    const bytes = await decodeImage(png, wholePicture(2, 2))
    // sRGB red lies inside P3; converted there and back it is red again, while its stored numbers are (234, 51, 35).
    expect(pixel(bytes, 2, 0, 0)[0]).toBeGreaterThan(250)
    expect(pixel(bytes, 2, 0, 0)[1]).toBeLessThan(5)
    const asStored = await decodeImage(png, { ...wholePicture(2, 2), reading: 'timm' })
    expect(pixel(asStored, 2, 0, 0)[1]).toBeGreaterThan(30)
  })

  test.each(['gif', 'webp'] as const)('the first frame of an animated %s', async (format) => {
    const frames = Buffer.concat([quarters(16, 16), Buffer.alloc(768, 0), Buffer.alloc(768, 200)])
    const file = await sharp(frames, { raw: { width: 16, height: 48, channels: 3, pageHeight: 16 } })
      .toFormat(format, { lossless: true, delay: [50, 50, 50] })
      .toBuffer()
    expect((await sharp(file).metadata()).pages).toBe(3)
    const bytes = await decodeImage(file, wholePicture(16, 16))
    expect(corners(bytes, 16, 16)).toEqual([[...red], [...green], [...blue], [...white]])
  })
})

test('avif and tiff are read', async () => {
  const image = fromRaw(quarters(16, 16), 16, 16)
  for (const file of [await image.clone().avif({ lossless: true }).toBuffer(), await image.clone().tiff().toBuffer()]) {
    expect(pixel(await decodeImage(file, wholePicture(16, 16)), 16, 1, 1)[0]).toBeGreaterThan(245)
  }
})

test('the border is filled with the mean, a picture smaller than the crop with black', async () => {
  const png = await plainPng([0, 200, 0], 20, 10)
  const border = await decodeImage(png, { ...wholePicture(20, 20), cropMode: 'border', mean: [0.5, 0.1, 1] })
  expect(pixel(border, 20, 10, 0)).toEqual([128, 26, 255]) // 127.5 goes to the even 128, 25.5 to 26
  expect(pixel(border, 20, 10, 5)).toEqual([0, 200, 0])
  expect(pixel(border, 20, 10, 15)).toEqual([128, 26, 255])
  const small = await decodeImage(png, { ...wholePicture(8, 8), cropMode: 'center', cropPct: 2 })
  expect(pixel(small, 8, 1, 1)).toEqual([0, 0, 0])
  expect(pixel(small, 8, 2, 2)).toEqual([0, 200, 0])
})

test('fast and exact shrinking agree within a few levels', async () => {
  const pixels = Buffer.from(Array.from({ length: 120 * 90 * 3 }, (_, i) => 128 + Math.round(100 * Math.sin(i / 50))))
  const png = await fromRaw(pixels, 120, 90).png().toBuffer()
  for (const interpolation of ['bilinear', 'bicubic', 'lanczos'] as const) {
    const preprocessing = { ...wholePicture(32, 32), cropMode: 'center', cropPct: 0.875, interpolation } as const
    const fast = await decodeImage(png, { ...preprocessing, resize: 'fast' })
    const exact = await decodeImage(png, { ...preprocessing, resize: 'exact' })
    const worst = fast.reduce((most, value, i) => Math.max(most, Math.abs(value - (exact[i] ?? 0))), 0)
    expect(worst).toBeLessThanOrEqual(6)
  }
})

test('a frame outside the picture is our own mistake', async () => {
  const frame = { left: 5, top: 0, width: 8, height: 8, flip: false }
  await expect(decodeImage(await plainPng(red), wholePicture(4, 4), frame)).rejects.toThrow(RangeError)
})

describe('a bad file is refused with a plain reason', () => {
  const photo = () => fromRaw(Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i) % 251)), 64, 64)
  const cases: Readonly<Record<string, readonly [() => Promise<Uint8Array>, RegExp]>> = {
    'truncated.jpg': [async () => (await photo().jpeg().toBuffer()).subarray(0, 2000), /is truncated or damaged/],
    'truncated.png': [async () => (await photo().png().toBuffer()).subarray(0, 700), /is truncated or damaged/],
    'empty.jpg': [async () => Buffer.alloc(0), /is empty/],
    'zeros.jpg': [async () => Buffer.alloc(5000), /only zeros/],
    'text.jpg': [async () => Buffer.from('not a picture'), /is not an image but text/],
    'page.jpg': [async () => Buffer.from('<!DOCTYPE html><html><svg></svg></html>'), /an HTML page/],
    'pointer.jpg': [async () => Buffer.from('version https://git-lfs.github.com/spec/v1\noid x'), /Git LFS pointer/],
    'drawing.png': [async () => Buffer.from('<?xml version="1.0"?><svg width="9" height="9"/>'), /SVG format/],
    'drawing.jpg': [async () => Buffer.from('  <svg width="9" height="9"/>'), /SVG format/],
    'paper.jpg': [async () => Buffer.from('%PDF-1.7\n'), /PDF format/],
    'old.jpg': [async () => Buffer.from('BM\x46\0\0\0'), /is truncated: it ends inside its header/],
    'fax.jpg': [
      async () => bmp({ bits: 8, compression: 1 }),
      /BMP with run-length compression, which is not supported: convert/,
    ],
    'phone.jpg': [async () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'), /HEIC format/],
    'huge.png': [async () => withPngSize(await plainPng(red), 60000, 60000), /is too large/],
  }
  test.each(Object.keys(cases))('%s', async (name) => {
    const [make, reason] = cases[name] ?? [async () => Buffer.alloc(0), /never/]
    const file = join(temporaryFolder(), name)
    await writeFile(file, await make())
    const error = await decodeImage(file, wholePicture(8, 8)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RegraftError)
    expect(error).toMatchObject({ code: 'data', file, message: expect.stringMatching(reason) })
    expect(error).toMatchObject({ message: expect.stringContaining(name) })
  })

  test('a file that is missing, and a folder', async () => {
    const folder = temporaryFolder()
    await expect(decodeImage(join(folder, 'no.jpg'), wholePicture(8, 8))).rejects.toThrow(/no\.jpg does not exist/)
    await expect(decodeImage(folder, wholePicture(8, 8))).rejects.toThrow(/is a folder/)
  })

  test.skipIf(process.platform === 'win32')('a pipe, without waiting for it', async () => {
    const pipe = join(temporaryFolder(), 'pipe.jpg')
    execFileSync('mkfifo', [pipe])
    await expect(decodeImage(pipe, wholePicture(8, 8))).rejects.toThrow(/is a pipe, socket or device/)
  })
})

/** The same PNG, claiming another size, with the checksum of the header put right. */
function withPngSize(png: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(png)
  changed.writeUInt32BE(width, 16)
  changed.writeUInt32BE(height, 20)
  changed.writeUInt32BE(crc32(changed.subarray(12, 29)), 29)
  return changed
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
