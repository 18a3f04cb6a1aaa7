// Each change of pixels against a plain loop or a stated fact.
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { rotation, scaling, shearing, tangent, translation } from '../../src/data/augmentations/matrix.ts'
import { type Change, changePixels } from '../../src/data/change-pixels.ts'
import { randomStream } from '../../src/random.ts'
import {
  blurred,
  eachByte,
  eachPixel,
  elasticField,
  equalized,
  lightness,
  meanLightness,
  normalNoise,
  type Picture,
  resampled,
  sharpened,
  turnedHue,
} from '../reference/pixel-changes.ts'

/** Colours that change smoothly, with noise on them, and some plain grey. */
function somePicture(width: number, height: number): Picture {
  const draw = randomStream({ seed: 1, purpose: 'some picture' })
  const bytes = new Uint8Array(width * height * 3)
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)]
    for (let c = 0; c < 3; c++) {
      const wave = 120 + 100 * Math.sin((x * (c + 1)) / 9 + (y * (3 - c)) / 7)
      bytes[3 * i + c] = y < 2 ? 7 * x : Math.max(0, Math.min(255, wave + 30 * draw.uniform()))
    }
  }
  return { bytes, width, height }
}

// Neither side is a multiple of four, and neither is the number of bytes.
const picture = somePicture(37, 29)
const square = somePicture(31, 31)

const change = ({ bytes, width, height }: Picture, ...changes: Change[]) => changePixels(bytes, width, height, changes)

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0)
}

/** The places that another order of rows and columns takes bytes from. */
function rearranged({ bytes, width, height }: Picture, from: (x: number, y: number) => [number, number]): Uint8Array {
  const result = new Uint8Array(bytes.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = from(x, y)
      result.set(bytes.subarray((row * width + column) * 3, (row * width + column) * 3 + 3), (y * width + x) * 3)
    }
  }
  return result
}

describe('flips and quarter turns move bytes and change none', () => {
  test('flips', async () => {
    const { width, height } = picture
    expect(await change(picture, ['flipHorizontally'])).toEqual(rearranged(picture, (x, y) => [width - 1 - x, y]))
    expect(await change(picture, ['flipVertically'])).toEqual(rearranged(picture, (x, y) => [x, height - 1 - y]))
    expect(await change(picture, ['flipVertically'], ['flipVertically'])).toEqual(picture.bytes)
  })

  test('a rotation by 90 degrees is a transposition and a flip', async () => {
    const side = square.width - 1
    const quarter = await change(square, ['affine', ...rotation(90), 0, 1, 2, 3])
    expect(quarter).toEqual(rearranged(square, (x, y) => [side - y, x]))
    const back = await change(square, ['affine', ...rotation(-90), 0, 1, 2, 3])
    expect(back).toEqual(rearranged(square, (x, y) => [y, side - x]))
    const half = await change(picture, ['affine', ...rotation(180), 0, 1, 2, 3])
    expect(half).toEqual(await change(picture, ['flipVertically'], ['flipHorizontally']))
    expect(await change(picture, ['affine', ...rotation(360), 0, 1, 2, 3])).toEqual(picture.bytes)
  })

  test('a translation by whole pixels', async () => {
    const moved = await change(picture, ['affine', ...translation(5, -3), 0, 9, 8, 7])
    const expected = resampled(picture, (x, y) => [x - 5, y + 3], [9, 8, 7])
    expect(moved).toEqual(expected)
    expect([...moved.subarray(0, 3)]).toEqual([9, 8, 7])
  })
})

describe('bilinear resampling is within a byte of plain arithmetic', () => {
  const [middleX, middleY] = [(picture.width - 1) / 2, (picture.height - 1) / 2]
  const radians = (17 * Math.PI) / 180
  const outsides = [
    [
      [0, 10, 200, 30],
      [10, 200, 30],
    ],
    [[1, 0, 0, 0], 'edge'],
    [[2, 0, 0, 0], 'reflect'],
  ] as const

  test.each(outsides)('affine with %j outside', async (numbers, outside) => {
    const near = async (matrix: readonly number[], from: (x: number, y: number) => readonly [number, number]) => {
      const expected = resampled(
        picture,
        (x, y) => {
          const [fromX, fromY] = from(x - middleX, y - middleY)
          return [fromX + middleX, fromY + middleY]
        },
        outside,
      )
      expect(largestDifference(await change(picture, ['affine', ...matrix, ...numbers]), expected)).toBeLessThanOrEqual(
        1,
      )
    }
    const [c, s] = [Math.cos(radians), Math.sin(radians)]
    await near(rotation(17), (x, y) => [c * x - s * y, s * x + c * y])
    await near(scaling(0.6), (x, y) => [x / 0.6, y / 0.6])
    await near(scaling(1.7), (x, y) => [x / 1.7, y / 1.7])
    await near(translation(4.25, -2.6), (x, y) => [x - 4.25, y + 2.6])
    await near(shearing(tangent(20), 0), (x, y) => [x - Math.tan((20 * Math.PI) / 180) * y, y])
    await near(shearing(0, tangent(-30)), (x, y) => [x, y + Math.tan((30 * Math.PI) / 180) * x])
    // Further away than any picture is large.
    await near(translation(1000, 1000), (x, y) => [x - 1000, y - 1000])
  })

  test('elastic pulls by smoothed noise, and not at all with alpha 0', async () => {
    const key = [3, 4] as const
    for (const [alpha, sigma] of [
      [12, 2],
      [40, 4.5],
    ] as const) {
      const [dx, dy] = elasticField(picture.width, picture.height, sigma, key)
      const expected = resampled(
        picture,
        (x, y) => [x + alpha * (dx[y]?.[x] ?? 0), y + alpha * (dy[y]?.[x] ?? 0)],
        [1, 2, 3],
      )
      const pulled = await change(picture, ['elastic', alpha, sigma, ...key, 0, 1, 2, 3])
      expect(largestDifference(pulled, expected)).toBeLessThanOrEqual(1)
      expect(largestDifference(pulled, picture.bytes)).toBeGreaterThan(20)
    }
    expect(await change(picture, ['elastic', 0, 5, 3, 4, 0, 0, 0, 0])).toEqual(picture.bytes)
  })
})

describe('light and colours', () => {
  test('brightness is the clipped product', async () => {
    expect(await change(picture, ['brightness', 1.2])).toEqual(eachByte(picture, (value) => 1.2 * value))
    expect(await change(picture, ['brightness', 0.7])).toEqual(eachByte(picture, (value) => 0.7 * value))
    expect(await change(picture, ['brightness', 0])).toEqual(new Uint8Array(picture.bytes.length))
    expect(await change(picture, ['brightness', 1])).toEqual(picture.bytes)
  })

  test('contrast and saturation go away from greys', async () => {
    const mean = meanLightness(picture)
    for (const factor of [0, 0.5, 1, 1.8]) {
      const contrasted = await change(picture, ['contrast', factor])
      expect(contrasted).toEqual(eachByte(picture, (value) => mean + factor * (value - mean)))
      const saturated = await change(picture, ['saturation', factor])
      const expected = eachPixel(picture, (rgb) =>
        rgb.map((value) => lightness(rgb) + factor * (value - lightness(rgb))),
      )
      // Halves are rounded up in float64, and may be a little less in float32.
      expect(largestDifference(saturated, expected)).toBeLessThanOrEqual(1)
    }
    expect(await change(picture, ['saturation', 0])).toEqual(await change(picture, ['grayscale']))
    const grey = eachPixel(picture, (rgb) => [lightness(rgb), lightness(rgb), lightness(rgb)])
    expect(largestDifference(await change(picture, ['grayscale']), grey)).toBeLessThanOrEqual(1)
  })

  test('hue turns the circle of colours; a whole turn is none', async () => {
    for (const turn of [0.05, 0.3, -0.4, 0.5]) {
      const expected = eachPixel(picture, (rgb) => turnedHue(rgb, turn))
      expect(largestDifference(await change(picture, ['hue', turn]), expected)).toBeLessThanOrEqual(1)
    }
    for (const turn of [0, 1, -1]) expect(await change(picture, ['hue', turn])).toEqual(picture.bytes)
    const red = { bytes: Uint8Array.of(255, 0, 0), width: 1, height: 1 }
    expect([...(await change(red, ['hue', 1 / 3]))]).toEqual([0, 255, 0])
    expect([...(await change(red, ['hue', 2 / 3]))]).toEqual([0, 0, 255])
  })

  test('tables of bytes', async () => {
    expect(await change(picture, ['invert'])).toEqual(eachByte(picture, (value) => 255 - value))
    expect(await change(picture, ['solarize', 100])).toEqual(eachByte(picture, (v) => (v < 100 ? v : 255 - v)))
    expect(await change(picture, ['solarize', 256])).toEqual(picture.bytes)
    expect(await change(picture, ['posterize', 3])).toEqual(eachByte(picture, (value) => value - (value % 32)))
    expect(await change(picture, ['posterize', 8])).toEqual(picture.bytes)
    expect(await change(picture, ['equalize'])).toEqual(equalized(picture))
    const large = somePicture(120, 90)
    expect(await change(large, ['equalize'])).toEqual(equalized(large))
    const narrow = { ...picture, bytes: picture.bytes.map((value) => 50 + value / 4) }
    const ends = [0, 1, 2]
      .map((c) => narrow.bytes.filter((_, i) => i % 3 === c))
      .map((v) => [Math.min(...v), Math.max(...v)])
    const stretched = narrow.bytes.map((value, i) => {
      const [low = 0, high = 255] = ends[i % 3] ?? []
      return Math.floor((255 * (value - low)) / (high - low) + 0.5)
    })
    expect(await change(narrow, ['autocontrast'])).toEqual(stretched)
    const plain = { ...picture, bytes: picture.bytes.map(() => 90) }
    expect(await change(plain, ['autocontrast'], ['equalize'])).toEqual(plain.bytes)
  })
})

describe('blur, sharpness, noise, JPEG, boxes', () => {
  test('blur is a Gaussian, mirrored at the border', async () => {
    for (const sigma of [0.05, 0.4, 1, 2.3]) {
      const result = await change(picture, ['blur', sigma])
      expect(largestDifference(result, blurred(picture, sigma))).toBeLessThanOrEqual(sigma < 0.1 ? 0 : 1)
    }
    const plain = { ...picture, bytes: picture.bytes.map(() => 90) }
    // Wider than the picture.
    expect(await change(plain, ['blur', 20])).toEqual(plain.bytes)
  })

  test('sharpness goes away from the smoothed picture', async () => {
    for (const factor of [0, 0.5, 2])
      expect(
        largestDifference(await change(picture, ['sharpness', factor]), sharpened(picture, factor)),
      ).toBeLessThanOrEqual(1)
    expect(await change(picture, ['sharpness', 1])).toEqual(picture.bytes)
  })

  test('noise is Gaussian, another for another key', async () => {
    const grey = { bytes: new Uint8Array(100 * 80 * 3).fill(128), width: 100, height: 80 }
    const noisy = await change(grey, ['noise', 20, 5, 6])
    const expected = normalNoise(noisy.length, [5, 6]).map((value) => Math.floor(128 + 20 * value + 0.5))
    expect(largestDifference(noisy, Uint8Array.from(expected))).toBeLessThanOrEqual(1)
    const values = Array.from(noisy, (value) => (value - 128) / 20)
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length
    expect(Math.abs(moment(1))).toBeLessThan(0.02)
    expect(moment(2)).toBeCloseTo(1, 1)
    expect(moment(4)).toBeGreaterThan(2.8)
    expect(moment(4)).toBeLessThan(3.2)
    expect(await change(grey, ['noise', 20, 5, 7])).not.toEqual(noisy)
    expect(await change(picture, ['noise', 0, 5, 6])).toEqual(picture.bytes)
  })

  test('JPEG is what sharp writes and reads, between other changes', async () => {
    const { width, height } = picture
    const inverted = eachByte(picture, (value) => 255 - value)
    const encoded = await sharp(inverted, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 40 })
      .toBuffer()
    const decoded = new Uint8Array(await sharp(encoded).raw().toBuffer())
    const result = await change(picture, ['invert'], ['jpeg', 40], ['invert'])
    expect(result).toEqual(eachByte({ ...picture, bytes: decoded }, (value) => 255 - value))
    expect(largestDifference(await change(picture, ['jpeg', 100]), picture.bytes)).toBeLessThan(60)
  })

  test('a box has one colour, and the rest stays', async () => {
    const result = await change(picture, ['fillBox', 3, 5, 7, 11, 1, 2, 3])
    for (let i = 0; i < result.length; i++) {
      const [x, y] = [Math.floor(i / 3) % picture.width, Math.floor(i / 3 / picture.width)]
      const inside = x >= 3 && x < 10 && y >= 5 && y < 16
      expect(result[i]).toBe(inside ? 1 + (i % 3) : picture.bytes[i])
    }
  })

  test('a mixture is a weighted mean', async () => {
    const result = await change(
      picture,
      ['mixStart'],
      ['mixRestart'],
      ['invert'],
      ['mixAdd', 0.25],
      ['mixRestart'],
      ['brightness', 0],
      ['mixAdd', 0.75],
      ['mixFinish', 0.5],
    )
    expect(
      largestDifference(
        result,
        eachByte(picture, (v) => 0.5 * v + 0.5 * 0.25 * (255 - v)),
      ),
    ).toBeLessThanOrEqual(1)
  })
})

test('the smallest pictures, and others than the last, are changed alike', async () => {
  const all: Change[] = [
    ['flipHorizontally'],
    ['flipVertically'],
    ['affine', ...rotation(30), 2, 0, 0, 0],
    ['elastic', 5, 1, 1, 2, 2, 0, 0, 0],
    ['blur', 1],
    ['sharpness', 1.5],
    ['contrast', 0.5],
    ['equalize'],
    ['autocontrast'],
    ['noise', 3, 1, 2],
    ['jpeg', 50],
  ]
  const sizes = [somePicture(1, 1), somePicture(1, 5), somePicture(6, 2), somePicture(200, 3), picture]
  const alone = []
  for (const size of sizes) alone.push(await change(size, ...all))
  const together = await Promise.all([...sizes, ...sizes].map((size) => change(size, ...all)))
  expect(together).toEqual([...alone, ...alone])
  expect(alone.map(({ length }) => length)).toEqual(sizes.map(({ bytes }) => bytes.length))
})
