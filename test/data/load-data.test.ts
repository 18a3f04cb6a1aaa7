import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadData } from '../../src/data/load-data.ts'
import type { Sample } from '../../src/data/sample.ts'
import { splitByFraction } from '../../src/data/split.ts'
import { fill, shared, temporaryFolder } from './pictures.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)

function manySamples(counts: readonly number[]): Sample[] {
  return counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, i) => ({ path: `${label}/${i}.jpg`, file: `/${label}/${i}.jpg`, label })),
  )
}

describe('a split by fraction', () => {
  test('takes the fraction of each class and leaves every picture in one part', async () => {
    const samples = manySamples([100, 50, 11])
    const { train, validation } = await splitByFraction(samples, 0.2, 1)
    expect([0, 1, 2].map((label) => validation.filter((sample) => sample.label === label).length)).toEqual([20, 10, 2])
    expect(new Set([...paths(train), ...paths(validation)]).size).toBe(161)
    expect(train.length + validation.length).toBe(161)
  })

  test('keeps one picture of each class for training, and takes one of two', async () => {
    for (const fraction of [0.01, 0.5, 0.99]) {
      const { train, validation } = await splitByFraction(manySamples([1, 2, 3]), fraction, 7)
      expect(new Set(train.map(({ label }) => label))).toEqual(new Set([0, 1, 2]))
      expect(new Set(validation.map(({ label }) => label))).toEqual(new Set([1, 2]))
    }
    expect((await splitByFraction(manySamples([5, 5]), 0, 7)).validation).toEqual([])
  })

  test('depends on the seed and the paths, not on the order of files', async () => {
    const samples = manySamples([40, 40])
    const one = await splitByFraction(samples, 0.25, 1)
    const turned = await splitByFraction([...samples].reverse(), 0.25, 1)
    expect(new Set(paths(turned.validation))).toEqual(new Set(paths(one.validation)))
    expect(paths((await splitByFraction(samples, 0.25, 2)).validation)).not.toEqual(paths(one.validation))
    // Recorded: the same on every machine and in every version.
    const few = (await splitByFraction(manySamples([6, 6]), 0.34, 42)).validation
    expect(paths(few)).toMatchInlineSnapshot(`
      [
        "0/1.jpg",
        "0/2.jpg",
        "1/2.jpg",
        "1/3.jpg",
      ]
    `)
  })

  test('moves few pictures when files are added', async () => {
    const before = await splitByFraction(manySamples([100, 100]), 0.2, 3)
    const after = await splitByFraction(manySamples([105, 100]), 0.2, 3)
    const kept = paths(after.validation).filter((path) => paths(before.validation).includes(path))
    expect(kept.length).toBeGreaterThanOrEqual(38)
  })
})

describe('a data folder', () => {
  const classes = { 'a/1.jpg': undefined, 'a/2.jpg': undefined, 'b/1.jpg': undefined, 'b/2.jpg': undefined }
  const under = (part: string) => Object.fromEntries(Object.keys(classes).map((path) => [`${part}/${path}`, undefined]))

  test('of class folders is split by the fraction', async () => {
    const root = temporaryFolder()
    await fill(root, classes)
    const data = await loadData(root, { validation: 0.5, seed: 1 })
    expect(data.classes).toEqual(['a', 'b'])
    expect([data.train.length, data.validation.length, data.test.length]).toEqual([2, 2, 0])
  })

  test.each(['val', 'valid', 'validation', 'Val'])('with train and %s is taken as it is divided', async (name) => {
    const root = temporaryFolder()
    await fill(root, { ...under('train'), ...under('test'), [`${name}/b/9.jpg`]: undefined, 'labels.csv': 'x' })
    const data = await loadData(root, { seed: 1 })
    expect(data.classes).toEqual(['a', 'b'])
    expect(paths(data.train)).toEqual(['train/a/1.jpg', 'train/a/2.jpg', 'train/b/1.jpg', 'train/b/2.jpg'])
    expect(data.validation).toEqual([{ path: `${name}/b/9.jpg`, file: join(root, name, 'b', '9.jpg'), label: 1 }])
    expect(data.test).toHaveLength(4)
  })

  test('with train alone is split by the fraction', async () => {
    const root = temporaryFolder()
    await fill(root, under('train'))
    const data = await loadData(root, { validation: 0.5, seed: 1 })
    expect(data.classes).toEqual(['a', 'b'])
    expect(data.validation).toHaveLength(2)
  })

  test('may have a class called train', async () => {
    const root = temporaryFolder()
    await fill(root, { 'train/1.jpg': undefined, 'bus/1.jpg': undefined, 'test/1.jpg': undefined })
    expect((await loadData(root, { validation: 0, seed: 1 })).classes).toEqual(['bus', 'test', 'train'])
  })

  test('leaves out a test folder without labels', async () => {
    const root = temporaryFolder()
    await fill(root, { ...under('train'), ...under('val'), 'test/images/1.jpg': undefined })
    const data = await loadData(root, { seed: 1 })
    expect(data.test).toEqual([])
    expect(data.skipped).toEqual([{ path: 'test', reason: 'holds no folder of a known class' }])
  })

  test('takes validation from another folder, or from one of its own', async () => {
    const root = temporaryFolder()
    const other = temporaryFolder()
    await fill(root, { ...classes, 'holdout/b/3.jpg': undefined })
    await fill(other, { 'a/1.jpg': undefined })
    const own = await loadData(root, { validation: 'holdout', seed: 1 })
    expect(own.classes).toEqual(['a', 'b'])
    expect(paths(own.validation)).toEqual(['holdout/b/3.jpg'])
    const data = await loadData(join(root, 'holdout', '..'), { validation: other, seed: 1 }).catch((error) => error)
    expect(data.classes).toEqual(['a', 'b', 'holdout'])
    expect(data.validation[0]).toMatchObject({ file: join(other, 'a', '1.jpg'), label: 0 })
  })

  test('takes the rest for training when a list names the validation', async () => {
    const root = temporaryFolder()
    await fill(root, { ...classes, 'val.txt': 'a/2.jpg\n' })
    const data = await loadData(root, { validation: 'val.txt', seed: 1 })
    expect(paths(data.train)).toEqual(['a/1.jpg', 'b/1.jpg', 'b/2.jpg'])
    expect(paths(data.validation)).toEqual(['a/2.jpg'])
  })

  test('is refused when two lists share a picture', async () => {
    const root = temporaryFolder()
    await fill(root, { ...classes, 'train.txt': 'a/1.jpg\nb/1.jpg\n', 'val.txt': 'a/2.jpg\nb/1.jpg\n' })
    await expect(loadData(root, { trainList: 'train.txt', validation: 'val.txt', seed: 1 })).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/1 pictures? .*'b\/1\.jpg' \(training and validation\)/),
    })
  })

  test('is refused when validation knows a class that training does not', async () => {
    const root = temporaryFolder()
    await fill(root, { ...under('train'), 'val/aa/1.jpg': undefined })
    await expect(loadData(root, { seed: 1 })).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/'aa' \(did you mean 'a'\?\)/),
    })
  })

  test('is refused when nothing of a class is left for training', async () => {
    const root = temporaryFolder()
    await fill(root, { ...classes, 'val.txt': 'a/1.jpg\na/2.jpg\n' })
    await expect(loadData(root, { validation: 'val.txt', seed: 1 })).rejects.toThrow(
      /no picture is left to learn from in 'a'/,
    )
  })

  test('is refused for a fraction that is none, and a source that is missing', async () => {
    const root = temporaryFolder()
    await fill(root, classes)
    await expect(loadData(root, { validation: 1, seed: 1 })).rejects.toMatchObject({ code: 'usage' })
    await expect(loadData(root, { validation: 'no.txt', seed: 1 })).rejects.toMatchObject({ code: 'data' })
  })
})

const clothing = join(shared, 'images', 'clothing')

describe.skipIf(!existsSync(clothing))('the clothing photos', () => {
  test('come as their lists divide them', async () => {
    const data = await loadData(clothing, {
      trainList: `${clothing}.train.txt`,
      validation: `${clothing}.val.txt`,
      seed: 1,
    })
    expect([data.train.length, data.validation.length, data.classes.length]).toEqual([1878, 470, 10])
    expect(data.skipped).toEqual([])
  })
})
