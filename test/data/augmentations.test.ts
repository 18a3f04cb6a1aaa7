import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { PictureAtHand } from '../../src/data/augmentations/augmentation.ts'
import { dirichlet } from '../../src/data/augmentations/dirichlet.ts'
import {
  type AugmentInput,
  augmentationKinds,
  augmentPresets,
  compileAugmentation,
  completeEntries,
  readAugmentFile,
} from '../../src/data/augmentations/index.ts'
import { randomResizedCrop } from '../../src/data/augmentations/random-resized-crop.ts'
import { changePixels } from '../../src/data/change-pixels.ts'
import { type RandomStream, randomStream } from '../../src/random.ts'
import { temporaryFolder } from './pictures.ts'

const draws =
  (sample: number, epoch = 0) =>
  (purpose: string) =>
    randomStream({ seed: 1, epoch, sample, purpose })

const at = (imageWidth: number, imageHeight: number, width = 120, height = 90): PictureAtHand => ({
  imageWidth,
  imageHeight,
  width,
  height,
  mean: [0.5, 0.4, 0.3],
})

const light = compileAugmentation(augmentPresets.light)

test('light keeps at least about half of the picture, inside it, within its aspect', () => {
  let flips = 0
  for (let sample = 0; sample < 500; sample++) {
    const { frame, changes } = light.plan(at(300, 200), draws(sample))
    if (frame === undefined) throw new Error('light always frames')
    expect(changes).toEqual([])
    expect(frame.left >= 0 && frame.top >= 0).toBe(true)
    expect(frame.left + frame.width <= 300 && frame.top + frame.height <= 200).toBe(true)
    expect((frame.width * frame.height) / 60000).toBeGreaterThan(0.49)
    expect(frame.width / frame.height).toBeGreaterThan(0.74)
    expect(frame.width / frame.height).toBeLessThan(1.35)
    if (frame.flip) flips += 1
  }
  expect(flips).toBeGreaterThan(200)
  expect(flips).toBeLessThan(300)
})

test('a picture too long for any crop is cut in the middle', () => {
  const range = { scale: [0.5, 1], ratio: [3 / 4, 4 / 3] } as const
  const stream = () => randomStream({ seed: 1, purpose: 'crop' })
  expect(randomResizedCrop(3000, 30, range, stream())).toEqual({ left: 1480, top: 0, width: 40, height: 30 })
  expect(randomResizedCrop(30, 3000, range, stream())).toEqual({ left: 0, top: 1480, width: 30, height: 40 })
  expect(randomResizedCrop(1, 1, range, stream())).toEqual({ left: 0, top: 0, width: 1, height: 1 })
})

const names = augmentationKinds.map(({ name }) => name)
/** Those whose only draw is whether they happen. */
const withoutDraws = new Set([
  'horizontalFlip',
  'verticalFlip',
  'grayscale',
  'posterize',
  'solarize',
  'autocontrast',
  'equalize',
  'invert',
])

describe.each(names)('%s', (name) => {
  const always = compileAugmentation(completeEntries([{ [name]: { p: 1 } }], 'test'))
  const stream = randomStream({ seed: 1, purpose: 'some picture' })
  // Without its darkest and lightest bytes, so that nothing that can change leaves it as it is.
  const picture = Uint8Array.from({ length: 32 * 24 * 3 }, () => 10 + stream.integer(200))
  const changed = async (sample: number, epoch = 0) => {
    const { frame, changes } = always.plan(at(64, 48, 32, 24), draws(sample, epoch))
    const bytes = await changePixels(picture, 32, 24, changes)
    expect(bytes.length).toBe(picture.length)
    return JSON.stringify([frame, Buffer.from(bytes).toString('hex')])
  }

  test('the same draws give the same bytes, of the same size; other pictures and epochs get others', async () => {
    const results: string[] = []
    for (let sample = 0; sample < 6; sample++) results.push(await changed(sample))
    const again = await Promise.all([5, 4, 3, 2, 1, 0].map((sample) => changed(sample)))
    expect(again.reverse()).toEqual(results)
    const same = JSON.stringify([undefined, Buffer.from(picture).toString('hex')])
    expect(results.some((result) => result !== same)).toBe(true)
    if (withoutDraws.has(name)) return
    expect(new Set(results).size).toBeGreaterThan(1)
    expect(await Promise.all([1, 2, 3, 4, 5].map((epoch) => changed(0, epoch)))).not.toEqual(results.slice(1))
  })

  test('with probability 0 it is not there', () => {
    const never = compileAugmentation(completeEntries([{ [name]: { p: 0 } }], 'test'))
    for (let sample = 0; sample < 20; sample++)
      expect(never.plan(at(120, 90), draws(sample))).toEqual({ frame: undefined, changes: [] })
  })

  test('with probability 0.3 it comes about so often', () => {
    const sometimes = compileAugmentation(completeEntries([{ [name]: { p: 0.3 } }], 'test'))
    let count = 0
    for (let sample = 0; sample < 500; sample++) {
      const { frame, changes } = sometimes.plan(at(120, 90), draws(sample))
      if (frame !== undefined || changes.length > 0) count += 1
    }
    // A policy may choose to do nothing: one operation of 14.
    expect(count).toBeGreaterThan(105)
    expect(count).toBeLessThan(195)
  })

  test('its defaults read as what they are', () => {
    const complete = completeEntries([name], 'test')
    expect(completeEntries(complete, 'test')).toEqual(complete)
    expect(completeEntries(JSON.parse(JSON.stringify(complete)), 'test')).toEqual(complete)
  })
})

test('every preset reads as what it is', () => {
  for (const entries of Object.values(augmentPresets)) expect(completeEntries(entries, 'preset')).toEqual(entries)
})

test('turns, shifts, sizes and slants that follow each other are one resampling', async () => {
  const list = [{ rotate: [90, 90] }, { translate: { x: [0.1, 0.1], y: 0 } }, { scale: [1, 1] }, { shear: [0, 0] }]
  const all = compileAugmentation(completeEntries(list, 'test'))
  const { changes } = all.plan(at(90, 90, 90), draws(0))
  expect(changes).toHaveLength(1)
  // First the turn, then the shift: (0, 0) of the result is 9 to the left of the middle, and from there a quarter back.
  expect(changes[0]?.slice(0, 7).map((value) => (typeof value === 'number' ? value + 0 : value))).toEqual([
    'affine',
    0,
    -1,
    0,
    1,
    0,
    -9,
  ])
  const apart = compileAugmentation(completeEntries([{ rotate: 5 }, 'invert', { rotate: 5 }], 'test'))
  expect(apart.plan(at(90, 90), draws(0)).changes.map(([name]) => name)).toEqual(
    expect.arrayContaining(['affine', 'affine']),
  )
  const fills = [{ rotate: { degrees: 5, fill: 'black' } }, { shear: { x: 5, fill: 'edge' } }]
  expect(compileAugmentation(completeEntries(fills, 'test')).plan(at(90, 90), draws(0)).changes).toHaveLength(2)
})

test('adding an augmentation, or a second one of a kind, moves no draw of the others', () => {
  const planned = (list: readonly AugmentInput[]) =>
    compileAugmentation(completeEntries(list, 'test')).plan(at(300, 200), draws(7))
  const [brightness] = planned(['brightness']).changes
  const more = planned(['randomResizedCrop', 'hue', 'brightness', { contrast: 0.5 }, 'brightness'])
  expect(more.changes[1]).toEqual(brightness)
  expect(more.changes[3]).not.toEqual(brightness)
  expect(more.frame).toEqual(planned(['randomResizedCrop']).frame)
})

describe('numbers and ranges', () => {
  test('draws fill their range evenly', () => {
    const rotate = compileAugmentation(completeEntries([{ brightness: [0.5, 2] }], 'test'))
    const factors = Array.from(
      { length: 500 },
      (_, sample) => rotate.plan(at(9, 9), draws(sample)).changes[0]?.[1] ?? 0,
    )
    expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.5)
    expect(Math.min(...factors)).toBeLessThan(0.52)
    expect(Math.max(...factors)).toBeLessThan(2)
    expect(Math.max(...factors)).toBeGreaterThan(1.98)
  })

  test('one number is a range about what changes nothing', () => {
    const options = (input: AugmentInput) => Object.values(completeEntries([input], 'test')[0] ?? {})[0]
    expect(options({ rotate: 20 })).toEqual({ p: 1, degrees: [-20, 20], fill: 'mean' })
    expect(options({ brightness: 0.4 })).toEqual({ p: 1, factor: [0.6, 1.4] })
    expect(options({ brightness: 3 })).toEqual({ p: 1, factor: [0, 4] })
    expect(options({ hue: 0.1 })).toEqual({ p: 1, shift: [-0.1, 0.1] })
    expect(options({ gaussianBlur: 2 })).toEqual({ p: 0.5, sigma: [2, 2] })
    expect(options({ horizontalFlip: 0.25 })).toEqual({ p: 0.25 })
    expect(options({ 'Horizontal-Flip': null })).toEqual({ p: 0.5 })
    expect(options({ random_resized_crop: { Scale: [0.5, 1] } })).toEqual({
      p: 1,
      scale: [0.5, 1],
      ratio: [3 / 4, 4 / 3],
    })
  })

  test('shares drawn from the Dirichlet distribution add up, and spread as alpha says', () => {
    const spread = (alpha: number) => {
      const stream: RandomStream = randomStream({ seed: 3, purpose: 'dirichlet' })
      const all = Array.from({ length: 2000 }, () => dirichlet(2, alpha, stream))
      for (const [a = 0, b = 0] of all) expect(a + b).toBeCloseTo(1, 12)
      return all.reduce((sum, [a = 0]) => sum + (a - 0.5) ** 2, 0) / all.length
    }
    // Variance of Beta(a, a): 1/(4(2a + 1)).
    for (const alpha of [0.2, 1, 4]) expect(spread(alpha) * 4 * (2 * alpha + 1)).toBeCloseTo(1, 0.9)
  })
})

describe('cutout', () => {
  test('stays inside, and its middle is anywhere', () => {
    const cutout = compileAugmentation(completeEntries([{ cutout: { size: 0.5, p: 1, holes: 2 } }], 'test'))
    let cut = 0
    for (let sample = 0; sample < 300; sample++) {
      for (const [name, left = 0, top = 0, width = 0, height = 0, ...colour] of cutout.plan(at(9, 9), draws(sample))
        .changes) {
        expect(name).toBe('fillBox')
        expect(left >= 0 && top >= 0 && left + width <= 120 && top + height <= 90).toBe(true)
        expect(width <= 45 && height <= 45 && width > 0 && height > 0).toBe(true)
        expect(colour).toEqual([128, 102, 76])
        if (width < 45 || height < 45) cut += 1
      }
    }
    expect(cut).toBeGreaterThan(200)
    const none = compileAugmentation(completeEntries([{ cutout: { size: 0, p: 1 } }], 'test'))
    expect(none.plan(at(9, 9), draws(0)).changes).toEqual([])
  })
})

describe('a YAML file', () => {
  const folder = temporaryFolder
  const read = (text: string) => {
    const file = join(folder(), 'my.yaml')
    writeFileSync(file, text)
    return readAugmentFile(file)
  }

  test('lists augmentations by name, with all, some or no options', async () => {
    const text =
      '- random-resized-crop:\n    scale: [0.5, 1]\n- horizontalFlip\n- rotate: 10 # degrees\n- cutout: {p: 1}\n'
    expect(await read(text)).toEqual([
      { randomResizedCrop: { p: 1, scale: [0.5, 1], ratio: [3 / 4, 4 / 3] } },
      { horizontalFlip: { p: 0.5 } },
      { rotate: { p: 1, degrees: [-10, 10], fill: 'mean' } },
      { cutout: { p: 1, size: [0.25, 0.5], holes: 1, fill: 'mean' } },
    ])
  })

  test.each([
    ['- rotat: 10', /my\.yaml, entry 1: there is no augmentation 'rotat'\. Did you mean 'rotate'\?/],
    [
      '- brightness\n- RandomHorizontalFlip',
      /entry 2: there is no augmentation 'RandomHorizontalFlip'\. Did you mean 'horizontalFlip'/,
    ],
    ['- wobble', /there is no augmentation 'wobble'\.\nKnown are randomResizedCrop, horizontalFlip/],
    [
      '- rotate: {degree: 5}',
      /entry 1 \(rotate\): there is no option 'degree', only p, degrees, fill\. Did you mean 'degrees'/,
    ],
    [
      '- rotate: {degrees: [20, 10]}',
      /entry 1 \(rotate\): degrees is \[20,10\], but must be a number or two as \[low, high\], from -360 to 360/,
    ],
    ['- rotate: fast', /entry 1 \(rotate\): degrees is "fast", but must be/],
    ['- hue: 2', /hue\): shift is 2, but must be/],
    ['- cutout: {p: 1.5}', /entry 1 \(cutout\): p is 1\.5, but must be a number from 0 to 1/],
    ['- rotate: {fill: red}', /fill is "red", but must be one of mean, black, white, edge, reflect/],
    [
      '- brightness\n- randomResizedCrop',
      /entry 2 \(randomResizedCrop\): it cuts from the whole picture and has to be the first/,
    ],
    ['- brightness: 0.1\n  contrast: 0.2', /entry 1: expected one augmentation by name/],
    ['- 5', /entry 1: expected one augmentation by name/],
    ['rotate: 5', /my\.yaml: expected a list of augmentations/],
    ['', /expected a list/],
    ['- rotate: [1,', /my\.yaml: this YAML cannot be read/],
    ['- rotate: {degrees: 5, degrees: 6}', /this YAML cannot be read: .*unique/],
    ['- rotate: {degrees: 5, Degrees: 6}', /degrees is given twice/],
    ['- &a brightness\n- *a', /this YAML cannot be read/],
    ['- __proto__: 5', /there is no augmentation '__proto__'/],
    ['- constructor', /there is no augmentation 'constructor'/],
    ['- rotate: {__proto__: 5}', /there is no option '__proto__'/],
    ['- brightness: .nan', /factor is null, but must be/],
  ])('%j is refused by name', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message)
    await expect(read(text)).rejects.toMatchObject({ code: 'usage' })
  })

  test('all that is wrong is told at once', async () => {
    await expect(read('- wobble\n- hue\n- rotate: no')).rejects.toThrow(/entry 1: .*\n.*\n.*entry 3/)
  })
})
