import { describe, expect, test } from 'vitest'
import { scaleOf, thresholdOf } from '../../src/ops/dropping.ts'
import { randomStream } from '../../src/random.ts'
import { dropped } from '../../src/reference/dropping.ts'
import { Bench, builds } from '../support/kernels.ts'
import { noise, pad, padded, ranges, unpad } from '../support/values.ts'

const PICTURES = 5
const salt = 0x9abcdef0

function keysFor(pictures: number, seed: number): Uint32Array {
  const random = randomStream({ seed, purpose: 'keys' })
  return Uint32Array.from({ length: 2 * pictures }, () => random.uint32())
}

describe.each(builds)('leaving values out (%s)', (build) => {
  const bench = new Bench(build)

  test.each([
    { channels: 12, pixels: 1, together: false },
    { channels: 7, pixels: 6, together: false },
    { channels: 7, pixels: 6, together: true },
  ])(
    'gives what the loop gives, however it is cut: $pixels pixels of $channels channels, together $together',
    ({ channels, pixels, together }) => {
      for (const rate of [0, 0.2, 0.5, 0.999]) {
        bench.clear()
        const values = noise(PICTURES * pixels * channels, 1)
        const keys = keysFor(PICTURES, 2)
        const count = PICTURES * pixels * padded(channels)
        const vectors = count / PICTURES / 4
        const expected = dropped(Float64Array.from(values), [pixels, channels], { rate, salt }, keys, together)
        const [x, keysAt] = [bench.place(pad(values, channels)), bench.place(Int32Array.from(keys))]
        const [y, added] = [bench.room(count), bench.place(new Float32Array(count).fill(3))]
        const rest = [keysAt, salt, thresholdOf(rate), scaleOf(rate), vectors, together ? 1 : 0] as const
        for (const [from, to] of ranges(count / 4, [1, 2, 5, 11, 12])) {
          bench.run('dropout', x, y, ...rest, 0, from, to)
          bench.run('dropout', x, added, ...rest, 1, from, to)
        }
        const single = Float32Array.from(expected, (value) => value)
        expect(unpad(bench.floats(y, count), channels)).toEqual(single)
        expect(unpad(bench.floats(added, count), channels)).toEqual(single.map((value) => value + 3))
        bench.run('dropout', x, x, ...rest, 0, 0, count / 4)
        expect(bench.floats(x, count)).toEqual(bench.floats(y, count))
        if (rate === 0) expect(unpad(bench.floats(y, count), channels)).toEqual(values)
        expect(bench.guardsIntact()).toBe(true)
      }
    },
  )
})

describe('what is left out', () => {
  const bench = new Bench('baseline')
  const PIXELS = 4096

  /** Which of `PIXELS` values of each picture are kept. */
  function kept(rate: number, keys: Uint32Array, salted = salt): Uint8Array {
    bench.clear()
    const count = (keys.length / 2) * PIXELS
    const [x, at] = [bench.place(new Float32Array(count).fill(1)), bench.place(Int32Array.from(keys))]
    bench.run('dropout', x, x, at, salted, thresholdOf(rate), 1, PIXELS / 4, 0, 0, 0, count / 4)
    return Uint8Array.from(bench.floats(x, count))
  }

  test.each([0.1, 0.3, 0.5, 0.9])('is a share of %s, and the mean of all stays', (rate) => {
    const pictures = 64
    const mask = kept(rate, keysFor(pictures, 3))
    const share = 1 - mask.reduce((sum, one) => sum + one, 0) / mask.length
    // Four standard deviations of a binomial share.
    const slack = 4 * Math.sqrt((rate * (1 - rate)) / mask.length)
    expect(Math.abs(share - rate)).toBeLessThan(slack)
    expect(Math.abs((1 - share) * scaleOf(rate) - 1)).toBeLessThan(slack / (1 - rate))
    // Each picture, too, by itself.
    for (let picture = 0; picture < pictures; picture++) {
      const own = mask.subarray(picture * PIXELS, (picture + 1) * PIXELS).reduce((sum, one) => sum + one, 0) / PIXELS
      expect(Math.abs(1 - own - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / PIXELS))
    }
  })

  test.each([
    ['pictures', () => [kept(0.5, keysFor(32, 4)), kept(0.5, keysFor(32, 5))]],
    ['layers', () => [kept(0.5, keysFor(32, 4), 1), kept(0.5, keysFor(32, 4), 2)]],
    [
      'neighbours',
      () => {
        const mask = kept(0.5, keysFor(32, 4))
        return [mask.subarray(0, -1), mask.subarray(1)]
      },
    ],
    [
      // Keys that follow each other must not give masks that are moved copies of each other.
      'pictures with neighbouring keys',
      () => {
        const keys = Uint32Array.from({ length: 64 }, (_, at) => Math.floor(at / 2))
        const mask = kept(0.5, keys)
        return [mask.subarray(1, 31 * PIXELS + 1), mask.subarray(PIXELS)]
      },
    ],
  ] as const)('is unrelated between %s', (_, masks) => {
    const [a = new Uint8Array(), b = new Uint8Array()] = masks()
    const agree = a.reduce((sum, one, at) => sum + (one === b[at] ? 1 : 0), 0) / a.length
    expect(Math.abs(agree - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / a.length))
  })
})
