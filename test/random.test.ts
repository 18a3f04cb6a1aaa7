import { describe, expect, it } from 'vitest'
import { philox, randomStream } from '../src/random.ts'

describe('philox', () => {
  // Known answers of Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds.
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('gives the published words for %j', (counter, key, expected) => {
    const words = [...philox(counter, key)].map((word) => word.toString(16).padStart(8, '0'))
    expect(words.join(' ')).toBe(expected)
  })
})

describe('randomStream', () => {
  const address = { seed: 42, epoch: 3, sample: 7, purpose: 'test' }

  it('gives the same numbers for the same address', () => {
    const a = randomStream(address)
    const b = randomStream({ ...address })
    expect(Array.from({ length: 10 }, a.uint32)).toEqual(Array.from({ length: 10 }, b.uint32))
  })

  it('gives other numbers when any part of the address changes', () => {
    const first = (change: object) => randomStream({ ...address, ...change }).uniform()
    const seen = [{}, { seed: 43 }, { seed: 42 + 2 ** 32 }, { epoch: 4 }, { sample: 8 }, { purpose: 'tesu' }].map(first)
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('gives these numbers in every version', () => {
    const random = randomStream(address)
    expect([
      random.uint32(),
      random.uniform(),
      random.integer(10),
      random.normal(),
      random.normal(),
    ]).toMatchInlineSnapshot(`
      [
        1117661247,
        0.12379649310570828,
        7,
        -0.9031422030792852,
        0.657390621959362,
      ]
    `)
    expect([...random.permutation(8)]).toMatchInlineSnapshot(`
      [
        2,
        7,
        5,
        3,
        4,
        1,
        6,
        0,
      ]
    `)
  })

  it('is uniform from 0 up to 1', () => {
    const random = randomStream(address)
    const bins = new Array<number>(16).fill(0)
    let sum = 0
    for (let i = 0; i < 16_000; i++) {
      const value = random.uniform()
      expect(value >= 0 && value < 1).toBe(true)
      sum += value
      const bin = Math.floor(value * 16)
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    expect(sum / 16_000).toBeCloseTo(0.5, 1)
    // 1000 expected in each, standard deviation 31.
    for (const count of bins) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it('chooses integers without favour', () => {
    const random = randomStream(address)
    const counts = new Array<number>(6).fill(0)
    for (let i = 0; i < 12_000; i++) {
      const face = random.integer(6)
      counts[face] = (counts[face] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200)
    expect(random.integer(1)).toBe(0)
    // Three quarters of 2^32: without rejection the lower third would come up twice as often.
    const large = 3 * 2 ** 30
    let low = 0
    for (let i = 0; i < 3000; i++) if (random.integer(large) < 2 ** 30) low += 1
    expect(Math.abs(low - 1000)).toBeLessThan(150)
    expect(() => random.integer(0)).toThrow(RangeError)
    expect(() => random.integer(2.5)).toThrow(RangeError)
  })

  it('has normal numbers with mean 0 and variance 1', () => {
    const random = randomStream(address)
    let sum = 0
    let squares = 0
    const count = 20_000
    for (let i = 0; i < count; i++) {
      const value = random.normal()
      sum += value
      squares += value * value
    }
    expect(Math.abs(sum / count)).toBeLessThan(0.04)
    expect(Math.abs(squares / count - 1)).toBeLessThan(0.06)
  })

  it('shuffles into a copy that keeps every item', () => {
    const items = Array.from({ length: 100 }, (_, i) => i)
    const shuffled = randomStream(address).shuffle(items)
    expect(shuffled).not.toEqual(items)
    expect(shuffled.toSorted((a, b) => a - b)).toEqual(items)
    expect(items[0]).toBe(0)
    expect(randomStream(address).shuffle([])).toEqual([])
    expect([...randomStream(address).permutation(100)]).toEqual(shuffled)
  })

  it('reaches every order of three', () => {
    const counts = new Map<string, number>()
    for (let sample = 0; sample < 3000; sample++) {
      const order = randomStream({ ...address, sample })
        .permutation(3)
        .join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(100)
  })

  it('refuses addresses that are not counts', () => {
    for (const change of [{ seed: -1 }, { seed: 0.5 }, { seed: 2 ** 53 }, { epoch: 2 ** 32 }, { sample: NaN }]) {
      expect(() => randomStream({ ...address, ...change })).toThrow(RangeError)
    }
  })
})
