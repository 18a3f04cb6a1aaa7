// Pictures that are kept as the first layer that trains sees them: faster, and the same bytes.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { diskFileSystem, type FileSystem, withFileSystem } from '../../src/files/file-system.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { inEpoch, interrupted } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const uneven = join(folder, 'uneven.txt')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  const [first = ''] = await drawFolder(data, 8)
  writeFileSync(join(first, '..', 'broken.png'), 'no picture')
  // Of two classes only two pictures each.
  const listed = ['bars', 'disc', 'stairs'].flatMap((name, at) =>
    Array.from({ length: at === 0 ? 8 : 2 }, (_, index) => `${name}/${index}.png\n`),
  )
  writeFileSync(uneven, [...listed, 'bars/broken.png\n'].join(''))
  await savedModel(trunk, 'mobilenetv2_035')
})

let runs = 0
async function trained(options: Partial<TrainOptions>) {
  const out = options.resume ?? join(folder, `run ${runs++}`)
  const notes: string[] = []
  const listener = (event: WorkEvent) => {
    if (event.type === 'note') notes.push(event.message)
  }
  const given = options.resume === undefined ? { ...fineTune, ...options } : { data: '', ...options }
  const result = await train({ ...given, out, engine, listener })
  return { ...result, notes, bytes: resultOf(out) }
}

const fineTune = {
  data,
  model: trunk,
  mode: 'finetune',
  unfreeze: 'last:2',
  epochs: 3,
  batchSize: 5,
  val: '0.25',
  augment: 'none',
} as const satisfies Partial<TrainOptions>

const ways: readonly (readonly [string, Partial<TrainOptions>])[] = [
  ['without augmentation', {}],
  ['with variants', { augment: 'light', cacheVariants: 2 }],
  ['with pictures that come several times in an epoch', { sampler: 'balanced', trainList: uneven }],
  ['with augmentation without end', { augment: 'strong' }],
  ['with dropout, DropConnect and stochastic depth', { dropout: 0.4, dropconnect: 0.4, dropPath: 0.5 }],
  ['with random erasing', { reprob: 0.6, cacheVariants: 2 }],
  ['with random erasing without end', { augment: 'light', reprob: 0.6 }],
  ['with batch statistics above the boundary', { bn: 'train-unfrozen', accum: 2 }],
]

describe.each(ways)('%s', (name, way) => {
  const cache = join(folder, 'caches', name)
  let expected: ReturnType<typeof resultOf>
  beforeAll(async () => {
    expected = (await trained({ ...way, cache: 'off' })).bytes
  })

  test('on, off, small, in a folder and from a folder give the same bytes', async () => {
    expect((await trained(way)).bytes).toEqual(expected)
    expect((await trained({ ...way, cache: 'memory', cacheSize: 50_000 })).bytes).toEqual(expected)
    expect((await trained({ ...way, cache })).bytes).toEqual(expected)
    const again = await trained({ ...way, cache })
    expect(again.bytes).toEqual(expected)
    expect(again.images).toMatchObject({ bad: 1 })
  })

  test('entries that were damaged, or are gone, are computed anew', async () => {
    const [shelf = ''] = readdirSync(cache)
    const entries = readdirSync(join(cache, shelf)).filter((entry) => entry !== 'shelf.json')
    expect(entries.length).toBeGreaterThan(3)
    for (const entry of entries) {
      const file = join(cache, shelf, entry)
      const bytes = readFileSync(file)
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 64
      writeFileSync(file, bytes)
    }
    expect((await trained({ ...way, cache })).bytes).toEqual(expected)
  })

  test('a run goes on with another cache than it began with', async () => {
    const out = join(folder, `stopped ${name}`)
    const options = { ...fineTune, ...way, out, engine, cache: 'off' }
    expect(await interrupted(options, inEpoch('finetune', 2))).toMatchObject({ code: 'interrupted' })
    expect((await trained({ resume: out, cache })).bytes).toEqual(expected)
  })
})

test('where pictures are mixed nothing is kept, and no word on the cache changes a result', async () => {
  const way = { mixup: 0.4, cutmix: 1 }
  const cache = join(folder, 'caches', 'mixed')
  const { bytes } = await trained({ ...way, cache: 'off' })
  expect((await trained(way)).bytes).toEqual(bytes)
  expect((await trained({ ...way, cache })).bytes).toEqual(bytes)
  expect(existsSync(cache)).toBe(false)
})

test('another rate finds all pictures in the folder, and decodes none', async () => {
  const clean = join(folder, 'clean data')
  await drawFolder(clean, 6)
  const cache = join(folder, 'caches', 'shared')
  const first = await trained({ data: clean, cache })
  expect(first.seconds.decode).toBeGreaterThan(0)
  const second = await trained({ data: clean, cache, lr: 0.01 })
  expect(second.seconds.decode).toBe(0)
  expect(second.bytes).not.toEqual(first.bytes)
  // Whatever activations depend on makes another shelf.
  for (const other of [{ imgSize: 40 }, { unfreeze: 'last:1' }, { cropPct: 0.9 }]) {
    const third = await trained({ data: clean, cache, ...other })
    expect(third.seconds.decode).toBeGreaterThan(0)
  }
  expect(readdirSync(cache)).toHaveLength(4)
})

/** The disk, on which something happens to a picture between the reading that digests it and the next one. */
function changingFileSystem(picture: string, change: () => void): FileSystem {
  let opened = 0
  return {
    ...diskFileSystem,
    open(path, mode) {
      if (path === picture && ++opened === 2) change()
      return diskFileSystem.open(path, mode)
    },
  }
}

describe.each(['memory', 'off', 'folder'])('a picture that changes under a training, cache %s', (kind) => {
  const changing = join(folder, `changing data ${kind}`)
  const cache = kind === 'folder' ? join(folder, 'caches', 'changing') : kind
  const picture = join(changing, 'disc', '3.png')

  test('is named and left out, and never kept under its former contents', async () => {
    await drawFolder(changing, 6)
    const before = readFileSync(picture)
    const other = readFileSync(join(changing, 'stairs', '0.png'))
    const events: WorkEvent[] = []
    const disk = changingFileSystem(picture, () => writeFileSync(picture, other))
    const out = join(folder, `changed ${kind}`)
    const listener = (event: WorkEvent) => events.push(event)
    const work = () => train({ ...fineTune, data: changing, cache, out, engine, listener })
    const { images } = await withFileSystem(disk, work)
    expect(images).toMatchObject({ bad: 1 })
    expect(events.filter(({ type }) => type === 'bad')).toEqual([
      { type: 'bad', path: 'disc/3.png', reason: 'was changed after its contents were looked at' },
    ])
    writeFileSync(picture, before)
    const [restored, plain] = [
      await trained({ data: changing, cache }),
      await trained({ data: changing, cache: 'off' }),
    ]
    expect(restored.bytes).toEqual(plain.bytes)
  })
})

test('a line says when the cache is of little use', async () => {
  const statistics = await trained({ bn: 'train', epochs: 1 })
  expect(statistics.notes.filter((note) => /cache is off.*--bn train/.test(note))).toHaveLength(1)
  const unasked = await trained({ augment: 'light', epochs: 1 })
  expect(unasked.notes.filter((note) => note.includes('--cache-variants'))).toEqual([])
  const augmented = await trained({ augment: 'light', epochs: 1, cache: 'memory' })
  expect(augmented.notes.filter((note) => note.includes('--cache-variants'))).toHaveLength(1)
  const all = await trained({ unfreeze: 'all', cache: 'memory', epochs: 1 })
  expect(all.notes.filter((note) => note.includes('The cache is off'))).toHaveLength(1)
  const small = await trained({ cache: 'memory', cacheSize: 1000, epochs: 1 })
  expect(small.notes.filter((note) => /cache keeps 1000.* of /.test(note))).toHaveLength(1)
  expect((await trained({ epochs: 1 })).notes.filter((note) => note.includes('cache'))).toEqual([])
})

test('options of the cache that would change nothing are refused', async () => {
  for (const options of [
    { mode: 'head', unfreeze: undefined, augment: undefined, cache: 'memory' },
    { cacheVariants: 4 },
    { cache: 'off', cacheSize: 1e6 },
  ] as const) {
    const { unfreeze, augment, ...rest } = { ...fineTune, ...options }
    const given = { ...rest, ...(unfreeze && { unfreeze }), ...(augment && { augment }) }
    await expect(train({ ...given, out: join(folder, 'refused'), engine })).rejects.toMatchObject({ code: 'usage' })
  }
})
