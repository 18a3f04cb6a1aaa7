import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadData } from '../../src/data/load-data.ts'
import { fill, plainPng, shared, temporaryFolder } from './pictures.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)

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
    expect(data.validation).toMatchObject([{ path: `${name}/b/9.jpg`, file: join(root, name, 'b', '9.jpg'), label: 1 }])
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

describe('copies', () => {
  /** A folder where 'a/2' is 'a/1' again, and 'b/2' is 'a/3'. */
  async function folderWithCopies(): Promise<string> {
    const root = temporaryFolder()
    for (const [path, shade] of [
      ['train/a/1.png', 1],
      ['train/a/2.png', 1],
      ['train/a/3.png', 3],
      ['train/b/1.png', 4],
      ['train/b/2.png', 3],
      ['train/b/3.png', 5],
      ['val/a/1.png', 1],
      ['val/b/1.png', 6],
    ] as const) {
      await fill(root, { [path]: await plainPng([shade, 0, 0]) })
    }
    return root
  }

  test('in two parts or under two labels are told', async () => {
    const { notes, train } = await loadData(await folderWithCopies(), { seed: 1 })
    expect(train).toHaveLength(6)
    expect(notes).toEqual([
      expect.stringMatching(
        /^One picture stands in two parts of the data: 'train\/a\/1\.png' \(training\) = 'train\/a\/2\.png' \(training\) = 'val\/a\/1\.png' \(validation\)/,
      ),
      expect.stringMatching(
        /^One picture stands under two labels: 'train\/a\/3\.png' \(a\) = 'train\/b\/2\.png' \(b\)\. One of them is wrong/,
      ),
    ])
  })

  test('are left out when that is wanted, all of them where nobody knows the label', async () => {
    const root = await folderWithCopies()
    await fill(root, { 'train/a/4.png': await plainPng([7, 0, 0]) })
    const data = await loadData(root, { seed: 1, dedupe: true })
    expect(paths(data.train)).toEqual(['train/a/4.png', 'train/b/1.png', 'train/b/3.png'])
    expect(paths(data.validation)).toEqual(['val/a/1.png', 'val/b/1.png'])
    expect(data.notes).toEqual([])
    expect(data.skipped).toEqual([
      { path: 'train/a/1.png', reason: 'has the same contents as val/a/1.png' },
      { path: 'train/a/2.png', reason: 'has the same contents as val/a/1.png' },
      { path: 'train/a/3.png', reason: 'has the same contents as train/b/2.png, which has another label' },
      { path: 'train/b/2.png', reason: 'has the same contents as train/a/3.png, which has another label' },
    ])
  })
})

/** Twenty pictures of each class, no two alike. */
async function distinct(root: string, classes: readonly string[], count = 20): Promise<void> {
  for (const [at, name] of classes.entries()) {
    for (let i = 0; i < count; i++) await fill(root, { [`${name}/${i}.png`]: await plainPng([i, at, 50]) })
  }
}

test('several folders and manifests are one set of data; their classes go by name', async () => {
  const root = temporaryFolder()
  await distinct(join(root, 'one'), ['a', 'b'], 3)
  await fill(join(root, 'two'), { 'b/9.png': await plainPng([9, 9, 9]), 'm.csv': 'path,label\nb/9.png,c\n' })
  const data = await loadData([join(root, 'one'), join(root, 'two', 'm.csv')], { seed: 1, validation: 0 })
  expect(data.root).toBe(root)
  expect(data.classes).toEqual(['a', 'b', 'c'])
  expect(paths(data.train)).toEqual([
    ...['a/0', 'a/1', 'a/2', 'b/0', 'b/1', 'b/2'].map((name) => `one/${name}.png`),
    'two/b/9.png',
  ])
  expect(data.train.at(-1)).toMatchObject({ label: 2 })
})

test('pictures of a group are never divided', async () => {
  const root = temporaryFolder()
  await distinct(root, ['a', 'b'])
  const group = (path: string) => /(\d)\.png$/.exec(path)?.[1]
  const data = await loadData(root, { seed: 1, validation: 0.3, groupBy: '(\\d)\\.png$' })
  const learned = new Set(paths(data.train).map(group))
  expect(data.validation.length).toBeGreaterThan(0)
  expect(paths(data.validation).filter((path) => learned.has(group(path)))).toEqual([])
  const partly = await loadData(root, { seed: 1, validation: 0.3, groupBy: 'a/1' })
  expect(partly.notes).toEqual(['--group-by matches 11 of 40 paths; the others stand alone.'])
  await expect(loadData(root, { seed: 1, groupBy: '(' })).rejects.toMatchObject({ code: 'usage' })
})

test('folds validate every picture once', async () => {
  const root = temporaryFolder()
  await distinct(root, ['a', 'b'])
  const seen: string[] = []
  for (let index = 0; index < 4; index++) {
    const { train, validation } = await loadData(root, { seed: 1, fold: { index, count: 4 } })
    expect(train.length + validation.length).toBe(40)
    seen.push(...paths(validation))
  }
  expect(new Set(seen).size).toBe(40)
  expect(seen).toHaveLength(40)
  await expect(loadData(root, { seed: 1, fold: { index: 4, count: 4 } })).rejects.toMatchObject({ code: 'usage' })
})

test('a class without a validation picture is told', async () => {
  const root = temporaryFolder()
  await distinct(join(root, 'train'), ['a', 'b'], 3)
  await distinct(join(root, 'val'), ['b'], 2)
  const { notes } = await loadData(root, { seed: 1 })
  expect(notes.at(-1)).toBe("No validation picture of 'a': how well these are learned is not measured.")
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
