import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadData } from '../../src/data/load-data.ts'
import { checkData } from '../../src/transfer/data-check.ts'
import { splitData } from '../../src/transfer/data-split.ts'
import { dataStats, fileStats } from '../../src/transfer/data-stats.ts'
import { blots, fill, fromRaw, plainPng, quarters, shared, temporaryFolder } from '../data/pictures.ts'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** A picture that is like no other of its kind. */
async function distinct(i: number, width = 40, height = 40): Promise<Buffer> {
  return await plainPng([i * 3, 200 - i * 2, (i * 37) % 256], width, height)
}

async function folderOf(classes: Readonly<Record<string, number>>): Promise<string> {
  const root = temporaryFolder()
  let i = 0
  for (const [name, count] of Object.entries(classes)) {
    for (let at = 0; at < count; at++) await fill(root, { [`${name}/${at}.png`]: await distinct(i++) })
  }
  return root
}

const kinds = (report: Awaited<ReturnType<typeof checkData>>) =>
  report.problems.map(({ severity, kind }) => `${severity} ${kind}`)

describe('data check', () => {
  test('finds nothing where there is nothing', async () => {
    const report = await checkData([await folderOf({ a: 12, b: 11 })], {})
    expect(report.problems).toEqual([])
    expect(report).toMatchObject({
      harmful: false,
      images: { train: 23, validation: 0, test: 0, unreadable: 0 },
      classes: [
        { name: 'a', train: 12, unreadable: 0 },
        { name: 'b', train: 11, unreadable: 0 },
      ],
      facts: { formats: { png: 23 }, colours: { RGB: 23 }, width: [40, 40, 40], height: [40, 40, 40] },
    })
  })

  test('names what cannot be used, with the reason', async () => {
    const root = await folderOf({ a: 12, b: 12 })
    await fill(root, { 'a/broken.jpg': 'no picture', 'b/phone.heic': 'x', 'b/empty.png': '' })
    const report = await checkData([root], {})
    expect(kinds(report)).toEqual(['error unreadable'])
    expect(report.unreadable.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      { path: 'a/broken.jpg', reason: 'is not an image but text' },
      { path: 'b/empty.png', reason: 'is empty' },
      { path: 'b/phone.heic', reason: expect.stringMatching(/HEIC format/) },
    ])
    expect(report.classes).toMatchObject([{ unreadable: 1 }, { unreadable: 1 }])
  })

  test('tells copies in two parts, under two labels, and others apart', async () => {
    const root = await folderOf({ 'train/a': 12, 'train/b': 12, 'val/a': 2, 'val/b': 2 })
    await fill(root, {
      'train/a/again.png': await distinct(0),
      'train/b/leak.png': await distinct(26),
      'train/a/clash.png': await distinct(14),
    })
    const report = await checkData([root], {})
    expect(kinds(report)).toEqual(['error copies-across-parts', 'error label-clash', 'warning copies'])
    expect(report.problems.map(({ files }) => files)).toEqual([
      ['train/b/leak.png = val/b/0.png (validation)'],
      ['train/a/clash.png = train/b/2.png'],
      ['train/a/0.png = train/a/again.png'],
    ])
    expect(report.copies).toHaveLength(3)
  })

  test('tells pictures that look the same', async () => {
    const root = await folderOf({ a: 12, b: 12 })
    await fill(root, {
      'a/large.png': await blots(1).png().toBuffer(),
      'a/small.jpg': await blots(1).resize(50, 40, { fit: 'fill' }).jpeg({ quality: 60 }).toBuffer(),
    })
    const report = await checkData([root], {})
    expect(kinds(report)).toEqual(['warning near-copies'])
    expect(report.nearCopies.map(({ files }) => files.map(({ path }) => path))).toEqual([
      ['a/large.png', 'a/small.jpg'],
    ])
  })

  test('knows classes with too little, and such as are out of balance or not checked', async () => {
    const root = await folderOf({ 'train/a': 60, 'train/b': 3, 'train/c': 1, 'val/a': 2 })
    const report = await checkData([root], {})
    expect(kinds(report)).toEqual(['error too-few', 'warning tiny-class', 'warning imbalance', 'warning not-validated'])
    expect(report.problems[0]?.message).toMatch(/'c' \(1\)/)
  })

  test('sees wrong endings, pictures without one, and odd shapes', async () => {
    const root = await folderOf({ a: 12, b: 12 })
    await fill(root, {
      'a/really.jpg': await distinct(70),
      'a/nameless': await distinct(71),
      'a/notes.txt': 'BMX and other words',
      'b/long.png': await distinct(72, 400, 40),
      'b/small.png': await distinct(73, 20, 20),
    })
    const report = await checkData([root], {})
    expect(report.problems.map(({ kind, files }) => [kind, ...files])).toEqual([
      ['wrong-extension', 'a/really.jpg (png)'],
      ['unnamed-picture', 'a/nameless'],
      ['small-pictures', 'b/small.png'],
      ['long-pictures', 'b/long.png'],
    ])
    expect(report.harmful).toBe(false)
  })

  test('what training would refuse is a problem, and the pictures are looked at all the same', async () => {
    const root = await folderOf({ Rose: 3, rose: 3 })
    await fill(root, { 'rose/bad.png': 'x' })
    const report = await checkData([root], {})
    expect(report.problems[0]).toMatchObject({ kind: 'layout', message: expect.stringMatching(/differ only by case/) })
    expect(report.unreadable).toEqual([{ path: `${root}/rose/bad.png`, reason: 'is not an image but text' }])
    expect(report.harmful).toBe(true)
  })

  test('groups that were divided beforehand are told', async () => {
    const root = temporaryFolder()
    const lines = ['path,label,split,patient']
    for (let i = 0; i < 44; i++) {
      await writeFile(join(root, `${i}.png`), await distinct(i))
      lines.push(`${i}.png,${i % 2 ? 'a' : 'b'},${i < 40 ? 'train' : 'val'},${i === 40 ? 'p0' : `p${i}`}`)
    }
    await writeFile(join(root, 'm.csv'), lines.join('\n'))
    const report = await checkData([join(root, 'm.csv')], { groupBy: 'patient' })
    expect(report.problems).toMatchObject([
      { kind: 'group-across-parts', message: expect.stringMatching(/'p0' \(train and validation\)/) },
    ])
  })

  const messy = join(shared, 'images', 'produce_messy')

  test.skipIf(!existsSync(messy))(
    'finds the two pairs of copies among the vegetables, one across the lists',
    async () => {
      const report = await checkData([messy], { trainList: `${messy}.train.txt`, val: `${messy}.val.txt` })
      expect(report.copies.map(({ files }) => files.map(({ path, part }) => `${path} ${part}`))).toEqual([
        ['corn/sweet_corn_2.jpg train', 'corn/sweet_corn_6.jpg validation'],
        ['soy_beans/soy_bean_1.jpg train', 'soy_beans/soy_beans_5.jpg train'],
      ])
      expect(kinds(report).filter((kind) => kind.startsWith('error'))).toEqual(['error copies-across-parts'])
      expect(report.nearCopies).toEqual([])
    },
  )
})

describe('data stats', () => {
  test('gives a row per file', async () => {
    const root = temporaryFolder()
    const jpeg = await fromRaw(quarters(24, 16), 24, 16).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    await fill(root, { 'a/1.png': await plainPng([10, 20, 30], 3, 2), 'b.jpg': jpeg, 'c.png': 'x' })
    const rows = await all(fileStats([root], {}))
    expect(rows).toEqual([
      {
        path: `${root}/a/1.png`,
        label: 'a',
        format: 'png',
        width: 3,
        height: 2,
        meanRgb: [10, 20, 30],
        bytes: expect.any(Number),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        error: null,
      },
      expect.objectContaining({
        path: `${root}/b.jpg`,
        label: null,
        format: 'jpeg',
        width: 16,
        height: 24,
        error: null,
      }),
      expect.objectContaining({ path: `${root}/c.png`, bytes: 1, meanRgb: null, error: 'is not an image but text' }),
    ])
  })

  test('sums up', async () => {
    const root = temporaryFolder()
    await fill(root, {
      'a/1.png': await plainPng([255, 0, 0], 4, 4),
      'a/2.png': await plainPng([0, 0, 255], 8, 2),
      'b/1.png': 'x',
    })
    expect(await dataStats([root], {})).toMatchObject({
      images: 2,
      unreadable: 1,
      classes: [
        { name: 'a', images: 2, unreadable: 0 },
        { name: 'b', images: 0, unreadable: 1 },
      ],
      facts: { formats: { png: 2 }, width: [4, 4, 8], height: [2, 2, 4] },
      meanRgb: [0.5, 0, 0.5],
      stdRgb: [0.5, 0, 0.5],
    })
    await expect(dataStats([temporaryFolder()], {})).resolves.toMatchObject({ images: 0, unreadable: 1 })
  })
})

describe('data split', () => {
  test.each(['csv', 'jsonl'])('writes a %s that is data again, divided as said', async (extension) => {
    const root = await folderOf({ a: 30, 'b, "x"': 30, '=c': 30 })
    const out = join(root, `split.${extension}`)
    const result = await splitData([root], { out, val: '0.3', seed: 4, groupBy: '(\\d)\\.png$' })
    expect(result.train + result.validation).toBe(90)
    const before = await loadData(root, { seed: 4, validation: 0.3, groupBy: '(\\d)\\.png$' })
    const after = await loadData(out, { seed: 99 })
    expect(after.classes).toEqual(before.classes)
    const strip = (samples: typeof before.train) => samples.map(({ path, label, group }) => ({ path, label, group }))
    expect(strip(after.train)).toEqual(strip(before.train))
    expect(strip(after.validation)).toEqual(strip(before.validation))
  })

  test('numbers folds, each of which holds about its share', async () => {
    const root = await folderOf({ a: 40, b: 40 })
    const out = join(temporaryFolder(), 'folds.csv')
    await splitData([root], { out, folds: 4, seed: 1 })
    const [header, ...lines] = readFileSync(out, 'utf8').trim().split('\n')
    expect(header).toBe('path,label,split,fold')
    const counts = [0, 0, 0, 0]
    for (const line of lines) {
      const fold = Number(line.split(',')[3])
      counts[fold] = (counts[fold] ?? 0) + 1
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(80)
    for (const count of counts) expect(Math.abs(count - 20)).toBeLessThan(16)
    const { validation } = await loadData(root, { seed: 1, fold: { index: 2, count: 4 } })
    expect(validation).toHaveLength(counts[2] ?? 0)
  })

  test('leaves copies out when that is wanted, and refuses a name of no known format', async () => {
    const root = await folderOf({ a: 5, b: 5 })
    await fill(root, { 'b/again.png': await distinct(7) })
    const out = join(root, 'split.jsonl')
    expect(await splitData([root], { out, val: '0.2', dedupe: true })).toMatchObject({ leftOut: 1 })
    await expect(splitData([root], { out: join(root, 'split.parquet') })).rejects.toMatchObject({ code: 'usage' })
  })
})
