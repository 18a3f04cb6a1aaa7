import { expect, test } from 'vitest'
import type { Batch } from '../../src/data/loader.ts'
import { type MixedBatch, type Mixing, mixedBatches } from '../../src/data/mixing.ts'

const [width, height, classes] = [6, 5, 4]
const pictureBytes = width * height * 3
const only = (mixing: Partial<Mixing>): Mixing => ({ mixup: 0, cutmix: 0, ...mixing })

/** Pictures of an epoch, each of one colour of its own and of the class of its number. */
function pictures(count: number, from = 0): { bytes: Uint8Array; label: number }[] {
  return Array.from({ length: count }, (_, at) => ({
    bytes: new Uint8Array(pictureBytes).fill(10 * (from + at)),
    label: (from + at) % classes,
  }))
}

interface Setting {
  readonly mixing: Mixing
  readonly sizes: readonly number[]
  readonly stepPictures: number
  readonly from?: number
  readonly epoch?: number
  readonly seed?: number
}

/** The pictures of an epoch that comes in batches of these sizes, mixed. */
async function mixed({ mixing, sizes, stepPictures, from = 0, epoch = 1, seed = 1 }: Setting) {
  async function* batches(): AsyncGenerator<Batch> {
    let at = from
    for (const count of sizes) {
      const own = pictures(count, at)
      const bytes = new Uint8Array(count * pictureBytes)
      for (const [row, picture] of own.entries()) bytes.set(picture.bytes, row * pictureBytes)
      yield { count, indices: [], bytes, labels: Int32Array.from(own, ({ label }) => label) }
      at += count
    }
  }
  const given: MixedBatch[] = []
  const where = { mixing, classes, width, height, seed, epoch, from, stepPictures }
  for await (const batch of mixedBatches(batches(), where)) given.push(batch)
  expect(given.map(({ count }) => count)).toEqual(sizes)
  return given.flatMap(({ count, bytes, labels, shares }) =>
    Array.from({ length: count }, (_, row) => ({
      bytes: bytes.slice(row * pictureBytes, (row + 1) * pictureBytes),
      label: labels[row] ?? -1,
      shares: [...shares.subarray(row * classes, (row + 1) * classes)],
    })),
  )
}

test('mixup blends the first with the last, and labels by the same shares', async () => {
  const result = await mixed({ mixing: only({ mixup: 1 }), sizes: [6], stepPictures: 6 })
  const own = result[0]?.shares[0] ?? Number.NaN
  expect(own).toBeGreaterThan(0)
  expect(own).toBeLessThan(1)
  const plain = pictures(6)
  for (const [at, { bytes, shares, label }] of result.entries()) {
    const [a, b] = [plain[at], plain[5 - at]]
    if (!a || !b) throw new Error('six pictures')
    const colour = own * (a.bytes[0] ?? 0) + (1 - own) * (b.bytes[0] ?? 0)
    for (const value of bytes) expect(Math.abs(value - colour)).toBeLessThanOrEqual(0.501)
    const expected = new Array(classes).fill(0)
    expected[a.label] += own
    expected[b.label] += 1 - own
    for (const [of, share] of shares.entries()) expect(share).toBeCloseTo(expected[of], 6)
    expect(label).toBe(own >= 0.5 ? a.label : b.label)
  }
})

test('cutmix swaps a box, and labels by the share of its pixels', async () => {
  let boxes = 0
  for (let epoch = 1; epoch <= 40; epoch++) {
    const result = await mixed({ mixing: only({ cutmix: 1 }), sizes: [4], stepPictures: 4, epoch })
    const plain = pictures(4)
    for (const [at, { bytes, shares }] of result.entries()) {
      const [a, b] = [plain[at], plain[3 - at]]
      if (!a || !b) throw new Error('four pictures')
      const others = bytes.filter((value) => value !== a.bytes[0])
      expect(others.every((value) => value === b.bytes[0])).toBe(true)
      expect(shares[b.label]).toBeCloseTo(others.length / pictureBytes, 6)
      expect(shares[a.label]).toBeCloseTo(1 - others.length / pictureBytes, 6)
      if (others.length === 0) continue
      boxes++
      // What changed is a box.
      const changed = Array.from({ length: width * height }, (_, pixel) => pixel).filter(
        (pixel) => bytes[3 * pixel] !== a.bytes[0],
      )
      const xs = new Set(changed.map((pixel) => pixel % width))
      const ys = new Set(changed.map((pixel) => Math.floor(pixel / width)))
      expect(changed.length).toBe(xs.size * ys.size)
      expect(Math.max(...xs) - Math.min(...xs) + 1).toBe(xs.size)
      expect(Math.max(...ys) - Math.min(...ys) + 1).toBe(ys.size)
    }
  }
  expect(boxes).toBeGreaterThan(40)
})

test('a step is mixed the same in whatever parts it comes, and wherever a run goes on', async () => {
  for (const mixing of [only({ mixup: 0.4 }), only({ cutmix: 1 }), { mixup: 0.4, cutmix: 1 }]) {
    const whole = await mixed({ mixing, sizes: [6, 6, 3], stepPictures: 6 })
    expect(await mixed({ mixing, sizes: [4, 2, 1, 5, 2, 1], stepPictures: 6 })).toEqual(whole)
    expect(await mixed({ mixing, sizes: [6, 3], stepPictures: 6, from: 6 })).toEqual(whole.slice(6))
    expect(await mixed({ mixing, sizes: [6, 6, 3], stepPictures: 6, seed: 2 })).not.toEqual(whole)
    expect(await mixed({ mixing, sizes: [6, 6, 3], stepPictures: 6, epoch: 2 })).not.toEqual(whole)
    expect(whole.every(({ shares }) => Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-6)).toBe(true)
    // Of an odd number the middle one stays as it is.
    expect(whole[13]).toMatchObject({ label: 1, bytes: pictures(1, 13)[0]?.bytes })
    expect(whole[13]?.shares[1]).toBeCloseTo(1, 6)
  }
})

test.each([0.1, 0.4, 1, 3])(
  'shares of mixup are those of a Beta distribution with both parameters %s',
  async (alpha) => {
    const count = 1500
    const draws = Array.from({ length: count }, (_, step) => step)
    const sizes = draws.map(() => 2)
    const result = await mixed({ mixing: only({ mixup: alpha }), sizes, stepPictures: 2 })
    // Neighbouring pictures are of different classes.
    const shares = draws.map((step) => result[2 * step]?.shares[(2 * step) % classes] ?? Number.NaN)
    const mean = shares.reduce((a, b) => a + b, 0) / count
    const variance = shares.reduce((sum, share) => sum + (share - 0.5) ** 2, 0) / count
    const expected = 1 / (4 * (2 * alpha + 1))
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(expected / count))
    expect(Math.abs(variance - expected) / expected).toBeLessThan(0.12)
    // Symmetric in its tails too.
    const low = shares.filter((share) => share < 0.1).length
    const high = shares.filter((share) => share > 0.9).length
    expect(Math.abs(low - high)).toBeLessThan(4 * Math.sqrt(Math.max(low + high, 1)))
  },
)

test('with both, half of the steps are mixed in each way', async () => {
  const steps = 600
  const sizes = Array.from({ length: steps }, () => 2)
  const result = await mixed({ mixing: { mixup: 3, cutmix: 3 }, sizes, stepPictures: 2 })
  // A blend has one colour, a box leaves two.
  let cut = 0
  for (let step = 0; step < steps; step++) if (new Set(result[2 * step]?.bytes).size === 2) cut++
  expect(Math.abs(cut / steps - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / steps) + 0.03)
})

test('tiny alphas leave pictures as they are, or exchange them', async () => {
  const result = await mixed({ mixing: only({ mixup: 1e-6 }), sizes: [2, 2, 2, 2], stepPictures: 2 })
  for (const { shares } of result) expect(shares.filter((share) => share > 0.999999)).toHaveLength(1)
})
