import { describe, expect, test } from 'vitest'
import type { Sample } from '../../src/data/sample.ts'
import { splitByDraw } from '../../src/data/split.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)

/** Samples and their keys: no two alike. */
function many(counts: readonly number[]): { samples: Sample[]; keys: string[] } {
  const samples = counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, i) => ({ path: `${label}/${i}.jpg`, file: `/${label}/${i}.jpg`, label })),
  )
  return { samples, keys: paths(samples) }
}

const share = (fraction: number) => ({ from: 0, to: fraction })

test('about the fraction of each class validates, and every picture is in one part', async () => {
  const { samples, keys } = many([1000, 500])
  const { train, validation } = await splitByDraw(samples, keys, share(0.2), 1)
  const counts = [0, 1].map((label) => validation.filter((sample) => sample.label === label).length)
  // Four standard deviations of the binomial.
  expect(Math.abs((counts[0] ?? 0) - 200)).toBeLessThan(51)
  expect(Math.abs((counts[1] ?? 0) - 100)).toBeLessThan(36)
  expect(new Set([...paths(train), ...paths(validation)]).size).toBe(1500)
  expect(train.length + validation.length).toBe(1500)
})

test('adding, removing and renaming files moves no other', async () => {
  const { samples, keys } = many([40, 40, 40])
  const before = new Set(paths((await splitByDraw(samples, keys, share(0.2), 3)).validation))
  const more = many([90, 70, 40, 25])
  const after = new Set(paths((await splitByDraw(more.samples, more.keys, share(0.2), 3)).validation))
  for (const { path } of samples) expect(after.has(path)).toBe(before.has(path))
  const renamed = samples.map((sample) => ({ ...sample, path: `x/${sample.path}` }))
  expect(paths((await splitByDraw(renamed, keys, share(0.2), 3)).validation)).toEqual(
    [...before].map((path) => `x/${path}`),
  )
})

test('a larger fraction takes the pictures of a smaller one, and more', async () => {
  const { samples, keys } = many([60, 60])
  const small = paths((await splitByDraw(samples, keys, share(0.1), 5)).validation)
  const large = new Set(paths((await splitByDraw(samples, keys, share(0.3), 5)).validation))
  expect(small.every((path) => large.has(path))).toBe(true)
})

test('depends on the seed and the contents, not on the order of files', async () => {
  const { samples, keys } = many([40, 40])
  const one = await splitByDraw(samples, keys, share(0.25), 1)
  const turned = await splitByDraw(samples.toReversed(), keys.toReversed(), share(0.25), 1)
  expect(new Set(paths(turned.validation))).toEqual(new Set(paths(one.validation)))
  expect(paths((await splitByDraw(samples, keys, share(0.25), 2)).validation)).not.toEqual(paths(one.validation))
  // Recorded: the same on every machine and in every version.
  const few = many([6, 6])
  expect(paths((await splitByDraw(few.samples, few.keys, share(0.34), 42)).validation)).toMatchInlineSnapshot(`
    [
      "0/0.jpg",
      "0/1.jpg",
      "0/2.jpg",
      "0/5.jpg",
    ]
  `)
})

test('copies of a picture stay together', async () => {
  const { samples } = many([50, 50])
  const keys = samples.map((_, i) => `picture ${i % 10}`)
  const { validation } = await splitByDraw(samples, keys, share(0.3), 1)
  const chosen = new Set(validation.map((sample) => keys[samples.indexOf(sample)]))
  expect(validation).toHaveLength(chosen.size * 10)
})

test('a group stays together, whatever its pictures are', async () => {
  const { samples, keys } = many([100, 100])
  const grouped = samples.map((sample, i) => ({ ...sample, group: `patient ${i % 20}` }))
  const { train, validation } = await splitByDraw(grouped, keys, share(0.25), 1)
  const learned = new Set(train.map(({ group }) => group))
  expect(validation.length).toBeGreaterThan(0)
  expect(validation.filter(({ group }) => learned.has(group))).toEqual([])
})

describe('small sets stay usable:', () => {
  test('every class keeps something to learn from, and something validates', async () => {
    for (const fraction of [0.01, 0.2, 0.5, 0.99]) {
      for (let seed = 0; seed < 30; seed++) {
        const { samples, keys } = many([1, 2, 3])
        const { train, validation } = await splitByDraw(samples, keys, share(fraction), seed)
        expect(new Set(train.map(({ label }) => label))).toEqual(new Set([0, 1, 2]))
        expect(validation.length).toBeGreaterThan(0)
      }
    }
  })

  test('where a class is copies of one picture, one of them validates', async () => {
    const { samples } = many([4, 4])
    const keys = samples.map(({ label }) => String(label))
    for (let seed = 0; seed < 10; seed++) {
      const { validation } = await splitByDraw(samples, keys, share(0.3), seed)
      expect(validation.length).toBeGreaterThan(0)
      expect(validation.length).toBeLessThan(8)
    }
  })
})

test('a fraction of nothing takes nothing', async () => {
  const { samples, keys } = many([5, 5])
  expect((await splitByDraw(samples, keys, share(0), 7)).validation).toEqual([])
})

test('folds are disjoint and together everything', async () => {
  const { samples, keys } = many([40, 40])
  const folds = await Promise.all(
    [0, 1, 2, 3].map((i) => splitByDraw(samples, keys, { from: i / 4, to: (i + 1) / 4 }, 9)),
  )
  const all = folds.flatMap(({ validation }) => paths(validation))
  expect(all.toSorted()).toEqual(paths(samples).toSorted())
})
