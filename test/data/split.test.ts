import { describe, expect, test } from 'vitest'
import type { Sample } from '../../src/data/sample.ts'
import { splitByDraw } from '../../src/data/split.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)

/** A sample; what stands for its contents is its digest. */
function sampleOf(path: string, label: number, contents = path): Sample {
  return { path, file: `/${path}`, label, contents: { bytes: 1, sha256: contents } }
}

/** Samples of each class, no two alike. */
function many(counts: readonly number[]): Sample[] {
  return counts.flatMap((count, label) => Array.from({ length: count }, (_, i) => sampleOf(`${label}/${i}.jpg`, label)))
}

const share = (fraction: number) => ({ from: 0, to: fraction })

test('about the fraction of each class validates, and every picture is in one part', async () => {
  const samples = many([1000, 500])
  const { train, validation } = await splitByDraw(samples, share(0.2), 1)
  const counts = [0, 1].map((label) => validation.filter((sample) => sample.label === label).length)
  // Four standard deviations of the binomial.
  expect(Math.abs((counts[0] ?? 0) - 200)).toBeLessThan(51)
  expect(Math.abs((counts[1] ?? 0) - 100)).toBeLessThan(36)
  expect(new Set([...paths(train), ...paths(validation)]).size).toBe(1500)
  expect(train.length + validation.length).toBe(1500)
})

test('adding, removing and renaming files moves no other', async () => {
  const samples = many([40, 40, 40])
  const before = new Set(paths((await splitByDraw(samples, share(0.2), 3)).validation))
  const more = many([90, 70, 40, 25])
  const after = new Set(paths((await splitByDraw(more, share(0.2), 3)).validation))
  for (const { path } of samples) expect(after.has(path)).toBe(before.has(path))
  const renamed = samples.map((sample) => ({ ...sample, path: `x/${sample.path}` }))
  expect(paths((await splitByDraw(renamed, share(0.2), 3)).validation)).toEqual([...before].map((path) => `x/${path}`))
})

test('a larger fraction takes the pictures of a smaller one, and more', async () => {
  const samples = many([60, 60])
  const small = paths((await splitByDraw(samples, share(0.1), 5)).validation)
  const large = new Set(paths((await splitByDraw(samples, share(0.3), 5)).validation))
  expect(small.every((path) => large.has(path))).toBe(true)
})

test('depends on the seed and the contents, not on the order of files', async () => {
  const samples = many([40, 40])
  const one = await splitByDraw(samples, share(0.25), 1)
  const turned = await splitByDraw(samples.toReversed(), share(0.25), 1)
  expect(new Set(paths(turned.validation))).toEqual(new Set(paths(one.validation)))
  expect(paths((await splitByDraw(samples, share(0.25), 2)).validation)).not.toEqual(paths(one.validation))
  // Recorded: the same on every machine and in every version.
  const few = many([6, 6])
  expect(paths((await splitByDraw(few, share(0.34), 42)).validation)).toMatchInlineSnapshot(`
    [
      "0/3.jpg",
      "0/4.jpg",
    ]
  `)
})

test('copies of a picture stay together', async () => {
  const samples = Array.from({ length: 100 }, (_, i) => sampleOf(`${i}.jpg`, i % 2, `picture ${i % 10}`))
  const { validation } = await splitByDraw(samples, share(0.3), 1)
  const chosen = new Set(validation.map(({ contents }) => contents?.sha256))
  expect(validation).toHaveLength(chosen.size * 10)
})

test('a group stays together, whatever its pictures are', async () => {
  const samples = many([100, 100])
  const grouped = samples.map((sample, i) => ({ ...sample, group: `patient ${i % 20}` }))
  const { train, validation } = await splitByDraw(grouped, share(0.25), 1)
  const learned = new Set(train.map(({ group }) => group))
  expect(validation.length).toBeGreaterThan(0)
  expect(validation.filter(({ group }) => learned.has(group))).toEqual([])
})

describe('small sets stay usable:', () => {
  test('every class keeps something to learn from, and something validates', async () => {
    for (const fraction of [0.01, 0.2, 0.5, 0.99]) {
      for (let seed = 0; seed < 30; seed++) {
        const samples = many([1, 2, 3])
        const { train, validation } = await splitByDraw(samples, share(fraction), seed)
        expect(new Set(train.map(({ label }) => label))).toEqual(new Set([0, 1, 2]))
        expect(validation.length).toBeGreaterThan(0)
      }
    }
  })

  test('where a class is copies of one picture, one of them validates', async () => {
    const samples = Array.from({ length: 8 }, (_, i) => sampleOf(`${i}.jpg`, i % 2, String(i % 2)))
    for (let seed = 0; seed < 10; seed++) {
      const { validation } = await splitByDraw(samples, share(0.3), seed)
      expect(validation.length).toBeGreaterThan(0)
      expect(validation.length).toBeLessThan(8)
    }
  })
})

test('a fraction of nothing takes nothing', async () => {
  const samples = many([5, 5])
  expect((await splitByDraw(samples, share(0), 7)).validation).toEqual([])
})

test('folds are disjoint and together everything', async () => {
  const samples = many([40, 40])
  const folds = await Promise.all([0, 1, 2, 3].map((i) => splitByDraw(samples, { from: i / 4, to: (i + 1) / 4 }, 9)))
  const all = folds.flatMap(({ validation }) => paths(validation))
  expect(all.toSorted()).toEqual(paths(samples).toSorted())
})
