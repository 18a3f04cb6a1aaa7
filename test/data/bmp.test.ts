import { describe, expect, test } from 'vitest'
import { readBmp } from '../../src/data/bmp.ts'
import { decodeImage, imageHeader } from '../../src/data/decode.ts'
import { bmp } from './bmp-file.ts'
import { blue, green, red, white, wholePicture } from './pictures.ts'

const pixelsOf = async (file: Uint8Array) => {
  const { value, reason } = await readBmp(file, 1000)
  if (value === undefined) throw new Error(reason)
  return Array.from({ length: value.width * value.height }, (_, i) => [
    ...value.bytes.subarray(i * value.channels, (i + 1) * value.channels),
  ])
}

/** Red, green above blue, white. */
const quarters = [[...red], [...green], [...blue], [...white]]
const palette = [
  [0, 0, 255, 0],
  [0, 255, 0, 0],
  [255, 0, 0, 0],
  [255, 255, 255, 0],
]
const word = (...values: readonly number[]) => Buffer.from(Uint16Array.from(values).buffer)
const longWord = (...values: readonly number[]) => Buffer.from(Uint32Array.from(values).buffer)

describe('the four colours come out of', () => {
  const upper24 = [0, 0, 255, 0, 255, 0, 0, 0]
  const lower24 = [255, 0, 0, 255, 255, 255, 0, 0]
  const cases: Readonly<Record<string, Buffer>> = {
    '24 bits, the lowest row first': bmp({ rows: Buffer.from([...lower24, ...upper24]) }),
    '24 bits, the highest row first': bmp({ height: -2, rows: Buffer.from([...upper24, ...lower24]) }),
    '8 bits': bmp({ bits: 8, palette, rows: Buffer.from([2, 3, 0, 0, 0, 1, 0, 0]) }),
    '8 bits with the header of OS/2': bmp({
      bits: 8,
      headerBytes: 12,
      palette: full(palette, 256),
      rows: Buffer.from([2, 3, 0, 0, 0, 1, 0, 0]),
    }),
    '4 bits': bmp({ bits: 4, palette, rows: Buffer.from([0x23, 0, 0, 0, 0x01, 0, 0, 0]) }),
    '16 bits': bmp({ bits: 16, rows: word(0x1f, 0x7fff, 0x7c00, 0x3e0) }),
    '16 bits with masks': bmp({
      bits: 16,
      compression: 3,
      masks: [0xf800, 0x7e0, 0x1f],
      rows: word(0x1f, 0xffff, 0xf800, 0x7e0),
    }),
    '32 bits': bmp({ bits: 32, rows: longWord(0xff, 0xffffff, 0xff0000, 0xff00) }),
  }
  test.each(Object.keys(cases))('%s', async (name) => {
    expect(await pixelsOf(cases[name] ?? Buffer.alloc(0))).toEqual(quarters)
  })
})

test('one bit a pixel', async () => {
  const file = bmp({
    width: 10,
    height: 1,
    bits: 1,
    palette: palette.slice(2),
    rows: Buffer.from([0b10000000, 0b01000000, 0, 0]),
  })
  const pixels = await pixelsOf(file)
  expect(pixels.map(([r]) => (r === 255 ? 1 : 0))).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
})

test('a mask of five bits reaches from 0 to 255', async () => {
  const file = bmp({ width: 4, height: 1, bits: 16, rows: word(0, 1, 16, 31) })
  expect((await pixelsOf(file)).map(([, , b]) => b)).toEqual([0, 8, 132, 255])
})

test('an alpha mask is alpha, the unused byte of 32 bits is not', async () => {
  const masks = [0xff0000, 0xff00, 0xff, 0xff000000]
  const half = bmp({
    width: 1,
    height: 1,
    bits: 32,
    compression: 3,
    headerBytes: 124,
    masks,
    rows: longWord(0x80000000),
  })
  expect(await pixelsOf(half)).toEqual([[0, 0, 0, 128]])
  expect([...(await decodeImage(half, wholePicture(1, 1)))]).toEqual([127, 127, 127])
  expect([...(await decodeImage(half, { ...wholePicture(1, 1), reading: 'timm' }))]).toEqual([0, 0, 0])
  expect(await pixelsOf(bmp({ width: 1, height: 1, bits: 32, rows: longWord(0x80000001) }))).toEqual([[0, 0, 1]])
})

test('the decoder resizes it as any other picture', async () => {
  const rows = Buffer.alloc(32 * 3 * 20, 77)
  const file = bmp({ width: 32, height: 20, rows })
  expect(await imageHeader(file)).toMatchObject({ kind: 'bmp', width: 32, height: 20 })
  for (const resize of ['exact', 'fast'] as const) {
    expect(new Set(await decodeImage(file, { ...wholePicture(8, 50), resize }))).toEqual(new Set([77]))
  }
})

describe('is refused:', () => {
  const cases: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
    'rows that are missing': [bmp().subarray(0, 60), /is truncated: its rows end/],
    'half a header': [bmp().subarray(0, 40), /is truncated: it ends inside its header/],
    'an unknown header': [bmp({ headerBytes: 44 }), /header of 44 bytes/],
    'no width': [bmp({ width: 0 }), /size is 0 x 2/],
    'a negative width': [bmp({ width: -2, rows: Buffer.alloc(16) }), /size is -2 x 2/],
    'two planes': [bmp({ planes: 2 }), /2 colour planes/],
    '7 bits': [bmp({ bits: 7 }), /7 bits a pixel/],
    'an unknown compression': [bmp({ compression: 9 }), /compression 9/],
    'a JPEG inside': [bmp({ compression: 4 }), /BMP with JPEG compression, which is not supported/],
    'more pixels than allowed': [bmp({ width: 100, height: 100 }), /is too large/],
    'a colour outside the palette': [bmp({ bits: 8, palette, rows: Buffer.alloc(8, 9) }), /colour 9 of 4/],
    'a palette that is too long': [bmp({ bits: 4, palette, coloursUsed: 17 }), /palette of 17 colours/],
    'pixels inside the header': [bmp({ bits: 8, palette, coloursUsed: 200 }), /begin inside its header/],
    'a mask with a hole': [
      bmp({ bits: 16, compression: 3, masks: [0xf800, 0x5e0, 0x1f] }),
      /colour masks make no sense/,
    ],
    'a mask of nothing': [bmp({ bits: 32, compression: 3, masks: [0xff, 0, 0xff00] }), /colour masks make no sense/],
    'a mask beyond 16 bits': [bmp({ bits: 16, compression: 3, masks: [0xf0000, 0x7e0, 0x1f] }), /colour masks/],
  }
  test.each(Object.keys(cases))('%s', async (name) => {
    const [file, reason] = cases[name] ?? [Buffer.alloc(0), /never/]
    expect((await readBmp(file, 1000)).reason).toMatch(reason)
  })
})

function full(palette: readonly (readonly number[])[], length: number): (readonly number[])[] {
  return Array.from({ length }, (_, i) => palette[i] ?? [0, 0, 0, 0])
}
