import { expect, test } from 'vitest'
import { augmentations } from '../../src/data/augmentations/index.ts'
import { randomResizedCrop } from '../../src/data/augmentations/random-resized-crop.ts'
import { randomStream } from '../../src/random.ts'

const draws =
  (sample: number, epoch = 0) =>
  (purpose: string) =>
    randomStream({ seed: 1, epoch, sample, purpose })

test('none leaves the evaluation transform alone', () => {
  expect(augmentations.none.frame()).toBeUndefined()
})

test('light keeps at least about half of the picture, inside it, within its aspect', () => {
  let flips = 0
  for (let sample = 0; sample < 500; sample++) {
    const frame = augmentations.light.frame(300, 200, draws(sample))
    if (frame === undefined) throw new Error('light always frames')
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

test('the same seed, epoch and sample give the same frame, another epoch another one', () => {
  const frame = (epoch: number) => augmentations.light.frame(300, 200, draws(5, epoch))
  expect(frame(3)).toEqual(frame(3))
  expect(frame(4)).not.toEqual(frame(3))
})

test('a picture too long for any crop is cut in the middle', () => {
  const range = { scale: [0.5, 1], ratio: [3 / 4, 4 / 3] } as const
  const stream = () => randomStream({ seed: 1, purpose: 'crop' })
  expect(randomResizedCrop(3000, 30, range, stream())).toEqual({ left: 1480, top: 0, width: 40, height: 30 })
  expect(randomResizedCrop(30, 3000, range, stream())).toEqual({ left: 0, top: 1480, width: 30, height: 40 })
  expect(randomResizedCrop(1, 1, range, stream())).toEqual({ left: 0, top: 0, width: 1, height: 1 })
})
