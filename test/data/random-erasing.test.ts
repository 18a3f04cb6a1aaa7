import { expect, test } from 'vitest'
import type { Preprocessing } from '../../src/data/preprocessing.ts'
import { randomErasing } from '../../src/data/random-erasing.ts'
import { randomStream } from '../../src/random.ts'

const preprocessing: Pick<Preprocessing, 'width' | 'height' | 'mean'> = { width: 40, height: 30, mean: [0.2, 0.4, 1] }
const pixels = preprocessing.width * preprocessing.height
const white = new Uint8Array(3 * pixels).fill(255)
const COUNT = 2000

const erased = (sample: number, probability: number) =>
  randomErasing(white, preprocessing, probability, randomStream({ seed: 1, sample, purpose: 'erasing' }))

/** The box that was filled, and how many pixels of it are. */
function boxOf(bytes: Uint8Array) {
  let [left, top, right, bottom, filled] = [preprocessing.width, preprocessing.height, 0, 0, 0]
  for (let at = 0; at < pixels; at++) {
    const [red, green, blue] = bytes.subarray(3 * at, 3 * at + 3)
    if (red === 255 && green === 255 && blue === 255) continue
    expect([red, green, blue]).toEqual([51, 102, 255])
    const [x, y] = [at % preprocessing.width, Math.floor(at / preprocessing.width)]
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
    filled++
  }
  return { left, top, width: right - left, height: bottom - top, filled }
}

test('a box of 2 to 33 % takes the mean colour, and may lie anywhere', () => {
  const boxes = Array.from({ length: COUNT }, (_, sample) => boxOf(erased(sample, 1)))
  let sum = 0
  for (const { width, height, filled } of boxes) {
    expect(filled).toBe(width * height)
    expect(filled / pixels).toBeGreaterThan(0.01)
    expect(filled / pixels).toBeLessThan(0.36)
    expect(width).toBeLessThan(preprocessing.width)
    expect(height).toBeLessThan(preprocessing.height)
    sum += filled / pixels
  }
  // Large and slanted boxes do not fit and are drawn again, so the mean lies below that of the limits.
  expect(sum / COUNT).toBeGreaterThan(0.14)
  expect(sum / COUNT).toBeLessThan((0.02 + 1 / 3) / 2 + 0.01)
  expect(boxes.some(({ left, width }) => left + width === preprocessing.width)).toBe(true)
  expect(boxes.some(({ top, height }) => top + height === preprocessing.height)).toBe(true)
  expect(boxes.some(({ left }) => left === 0) && boxes.some(({ top }) => top === 0)).toBe(true)
  expect(boxes.some(({ width, height }) => width > 2 * height)).toBe(true)
  expect(boxes.some(({ width, height }) => height > 2 * width)).toBe(true)
})

test('as often as it is wanted, and the picture that came stays as it is', () => {
  for (const probability of [0, 0.25, 1]) {
    const changed = Array.from({ length: COUNT }, (_, sample) => erased(sample, probability)).filter(
      (bytes) => bytes !== white,
    )
    const slack = 4 * Math.sqrt((probability * (1 - probability)) / COUNT)
    expect(Math.abs(changed.length / COUNT - probability)).toBeLessThanOrEqual(slack)
  }
  expect(white.every((value) => value === 255)).toBe(true)
  expect(erased(3, 1)).toEqual(erased(3, 1))
  expect(erased(3, 1)).not.toEqual(erased(4, 1))
})

test('a picture of one pixel stays whole', () => {
  const tiny = Uint8Array.of(1, 2, 3)
  const random = randomStream({ seed: 1, purpose: 'erasing' })
  expect(randomErasing(tiny, { width: 1, height: 1, mean: [0, 0, 0] }, 1, random)).toBe(tiny)
})
