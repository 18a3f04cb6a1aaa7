import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { InputImage } from '../../src/data/expand-inputs.ts'
import { inOrderStream } from '../../src/data/in-order-stream.ts'
import { pictureBatches } from '../../src/data/picture-batches.ts'
import { fill, temporaryFolder, wholePicture } from './pictures.ts'

async function* numbers(count: number, taken: number[] = []): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    taken.push(i)
    yield i
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

test('results come in the order of the items, however long each takes', async () => {
  const work = async (i: number) => {
    await wait((i * 7) % 11)
    return i
  }
  const results = await all(inOrderStream(numbers(40), work, { concurrency: 5, ahead: 9 }))
  expect(results).toEqual(Array.from({ length: 40 }, (_, i) => i))
})

test('items are asked for only when there is room', async () => {
  const taken: number[] = []
  let most = 0
  let used = 0
  const results = inOrderStream(numbers(100, taken), async (i) => i, { concurrency: 3, ahead: 6 })
  for await (const _ of results) {
    used += 1
    await wait(1)
    most = Math.max(most, taken.length - used)
  }
  expect(used).toBe(100)
  expect(most).toBeLessThanOrEqual(7)
})

test('an error of the work or of the items appears in its turn', async () => {
  const seen: number[] = []
  const failing = inOrderStream(
    numbers(10),
    async (i) => {
      if (i === 4) throw new Error('four')
      return i
    },
    { concurrency: 8, ahead: 8 },
  )
  await expect(
    (async () => {
      for await (const i of failing) seen.push(i)
    })(),
  ).rejects.toThrow('four')
  expect(seen).toEqual([0, 1, 2, 3])

  async function* broken() {
    yield* numbers(2)
    throw new Error('no more')
  }
  await expect(all(inOrderStream(broken(), async (i) => i, { concurrency: 2, ahead: 2 }))).rejects.toThrow('no more')
})

test('an abort is heard while the items keep silent', async () => {
  async function* silent(): AsyncGenerator<number> {
    yield 0
    await new Promise(() => undefined)
  }
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 20)
  const items = inOrderStream(silent(), async (i) => i, { concurrency: 2, ahead: 2, signal: stop.signal })
  await expect(all(items)).rejects.toMatchObject({ code: 'interrupted' })
})

test('batches hold every row in order, with the pictures that could be read', async () => {
  const root = temporaryFolder()
  await fill(root, { 'a.png': undefined, 'bad.png': 'x' })
  const [good, bad] = ['a.png', 'bad.png'].map((path): InputImage => ({ path, file: join(root, path) }))
  if (!good || !bad) throw new Error('two images')
  const gone: InputImage = { path: 'gone.png', file: join(root, 'gone.png'), error: 'is gone' }
  async function* images() {
    yield* [good, bad, good, gone, good].flatMap((image) => image ?? [])
    for (let i = 0; i < 9; i++) yield gone
    yield* [good, good].flatMap((image) => image ?? [])
  }
  const batches = await all(pictureBatches(images(), { preprocessing: wholePicture(12, 8), batchSize: 2 }))
  const shown = batches.map(({ rows, count, bytes }) => [
    rows.map(({ image, slot, error }) => [image.path, slot, error === undefined ? '' : 'error']).join(' '),
    count,
    bytes.length / 288,
  ])
  const failed = Array.from({ length: 7 }, () => 'gone.png,,error').join(' ')
  expect(shown).toEqual([
    ['a.png,0, bad.png,,error a.png,1,', 2, 2],
    [`gone.png,,error a.png,0, ${failed.split(' ').slice(0, 6).join(' ')}`, 1, 1],
    [`gone.png,,error gone.png,,error gone.png,,error a.png,0, a.png,1,`, 2, 2],
  ])
  await expect(
    all(pictureBatches(images(), { preprocessing: wholePicture(12, 8), batchSize: 2, onError: 'stop' })),
  ).rejects.toMatchObject({ code: 'data', message: expect.stringMatching(/bad\.png/) })
})
