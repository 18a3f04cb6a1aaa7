import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { augmentPresets, compileAugmentation } from '../../src/data/augmentations/index.ts'
import { epochOrder } from '../../src/data/epoch-order.ts'
import { inOrder } from '../../src/data/in-order.ts'
import { noLoadStatistics } from '../../src/data/load-statistics.ts'
import { type BadImage, type Batch, type Loadable, type LoadOptions, loadBatches } from '../../src/data/loader.ts'
import { fill, fromRaw, plainPng, quarters, temporaryFolder, wholePicture } from './pictures.ts'

const preprocessing = wholePicture(4, 4)
const light = compileAugmentation(augmentPresets.light)

/** Pictures whose grey level is ten times their number; those in `bad` are no pictures. */
async function pictures(count: number, bad: readonly number[] = []): Promise<Loadable[]> {
  const root = temporaryFolder()
  const samples: Loadable[] = []
  for (let i = 0; i < count; i++) {
    const contents = bad.includes(i) ? 'no picture' : await plainPng([i * 10, i * 10, i * 10], 4 + (i % 3) * 200, 4)
    await fill(root, { [`${i}.png`]: contents })
    samples.push({ path: `${i}.png`, file: join(root, `${i}.png`), label: i % 2 })
  }
  return samples
}

async function collect(options: LoadOptions): Promise<Batch[]> {
  const batches: Batch[] = []
  for await (const batch of loadBatches(options)) batches.push(batch)
  return batches
}

test('batches hold pictures, indices and labels in exactly the order asked for', async () => {
  const samples = await pictures(7)
  const batches = await collect({ samples, order: [6, 2, 2, 0, 5], preprocessing, batchSize: 2 })
  expect(batches.map(({ indices }) => indices)).toEqual([[6, 2], [2, 0], [5]])
  expect(batches.map(({ labels }) => [...labels])).toEqual([[0, 0], [0, 0], [1]])
  expect(batches.map(({ count }) => count)).toEqual([2, 2, 1])
  expect(batches.map(({ bytes }) => bytes.length)).toEqual([96, 96, 48])
  expect(batches.flatMap(({ bytes, count }) => Array.from({ length: count }, (_, i) => bytes[i * 48]))).toEqual([
    60, 20, 20, 0, 50,
  ])
})

test('the number of pictures decoded at a time, and delays, change nothing', async () => {
  const samples = await pictures(20, [3, 11])
  const order = epochOrder(20, 1, 0)
  const options = { samples, order, preprocessing, batchSize: 4, augment: light, seed: 9, epoch: 2 }
  const one = await collect({ ...options, concurrency: 1, prefetchBytes: 1 })
  const many = await collect({ ...options, concurrency: 9 })
  expect(many).toEqual(one)
  const slowly: Batch[] = []
  for await (const batch of loadBatches(options)) {
    slowly.push(batch)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(slowly).toEqual(one)
})

test('pictures that were decoded before give what their files give', async () => {
  const root = temporaryFolder()
  const samples: Loadable[] = []
  const decoded: Loadable[] = []
  for (const [index, [width, height]] of [[9, 6] as const, [5, 8] as const, [4, 4] as const].entries()) {
    const bytes = Uint8Array.from(quarters(width, height), (value, at) => (value + at * 7) % 256)
    const name = `${index}.png`
    await fill(root, { [name]: await fromRaw(bytes, width, height).png().toBuffer() })
    samples.push({ path: name, file: join(root, name), label: index })
    decoded.push({ path: name, file: '', label: index, pixels: { bytes, width, height, channels: 3 } })
  }
  for (const augment of [undefined, light])
    for (const cropMode of ['center', 'border', 'squash'] as const) {
      const options = { preprocessing: { ...preprocessing, cropMode }, batchSize: 3, augment, seed: 1, epoch: 1 }
      expect(await collect({ ...options, samples: decoded })).toEqual(await collect({ ...options, samples }))
    }
})

test('bad files are told once, in order, and the following pictures take their places', async () => {
  const samples = await pictures(8, [0, 3, 4])
  const bad: BadImage[] = []
  const knownBad = new Set<number>()
  const statistics = noLoadStatistics()
  const options = {
    samples,
    preprocessing,
    batchSize: 2,
    knownBad,
    statistics,
    onBad: (image: BadImage) => bad.push(image),
  }
  const first = await collect({ ...options, order: [0, 1, 3, 3, 2, 4, 5, 6, 7] })
  expect(first.map(({ indices }) => indices)).toEqual([[1, 2], [5, 6], [7]])
  expect(bad.map(({ index }) => index)).toEqual([0, 3, 4])
  expect(bad[0]).toEqual({ index: 0, path: '0.png', reason: 'is not an image but text' })
  expect(statistics).toMatchObject({ images: 5 })
  const second = await collect(options)
  expect(second.flatMap(({ indices }) => indices)).toEqual([1, 2, 5, 6, 7])
  expect(bad).toHaveLength(3)
})

test('a bad file stops the loading when asked for', async () => {
  const samples = await pictures(4, [2])
  await expect(collect({ samples, preprocessing, batchSize: 2, onError: 'stop' })).rejects.toMatchObject({
    code: 'data',
    message: '2.png is not an image but text.',
    file: samples[2]?.file,
  })
})

test('nothing but bad files gives no batch', async () => {
  expect(await collect({ samples: await pictures(3, [0, 1, 2]), preprocessing, batchSize: 2 })).toEqual([])
  expect(await collect({ samples: [], preprocessing, batchSize: 2 })).toEqual([])
})

test('an augmentation changes pictures from epoch to epoch, the same in each', async () => {
  const root = temporaryFolder()
  await fill(root, { 'a.png': await fromRaw(quarters(40, 40), 40, 40).png().toBuffer() })
  const samples = [{ path: 'a.png', file: join(root, 'a.png'), label: 0 }]
  const bytes = async (epoch: number) => {
    const [batch] = await collect({
      samples,
      preprocessing: wholePicture(16, 16),
      batchSize: 1,
      augment: light,
      epoch,
    })
    return batch?.bytes
  }
  expect(await bytes(1)).toEqual(await bytes(1))
  expect(await bytes(2)).not.toEqual(await bytes(1))
})

test('decoding is counted', async () => {
  const statistics = noLoadStatistics()
  await collect({ samples: await pictures(6, [1]), preprocessing, batchSize: 4, statistics })
  expect(statistics).toMatchObject({ images: 5, bad: 1 })
  expect(statistics.decodeMilliseconds).toBeGreaterThanOrEqual(statistics.busyMilliseconds * 0.99)
  expect(statistics.busyMilliseconds).toBeGreaterThan(0)
})

test('a signal ends the loading', async () => {
  const samples = await pictures(12)
  const controller = new AbortController()
  const seen: number[] = []
  const loading = async () => {
    for await (const { indices } of loadBatches({ samples, preprocessing, batchSize: 2, signal: controller.signal })) {
      seen.push(...indices)
      controller.abort()
    }
  }
  await expect(loading()).rejects.toMatchObject({ code: 'interrupted' })
  expect(seen).toEqual([0, 1])
})

describe('work in order', () => {
  test('never has more in progress, nor more ahead, than allowed', async () => {
    let active = 0
    let mostActive = 0
    let started = 0
    let mostAhead = 0
    let taken = 0
    const work = async (position: number) => {
      active += 1
      started += 1
      mostActive = Math.max(mostActive, active)
      mostAhead = Math.max(mostAhead, started - taken)
      await new Promise((resolve) => setTimeout(resolve, (position * 7) % 5))
      active -= 1
      return position
    }
    const results: number[] = []
    for await (const result of inOrder(40, work, { concurrency: 3, ahead: 6 })) {
      taken += 1
      results.push(result)
      if (result % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(results).toEqual(Array.from({ length: 40 }, (_, i) => i))
    expect(mostActive).toBe(3)
    expect(mostAhead).toBeGreaterThan(3)
    // One more: `taken` is counted here, after the next piece was started.
    expect(mostAhead).toBeLessThanOrEqual(7)
  })

  test('an error appears in its turn, after all work has ended', async () => {
    let active = 0
    const work = async (position: number) => {
      active += 1
      await new Promise((resolve) => setTimeout(resolve, position === 1 ? 0 : 5))
      active -= 1
      if (position === 1) throw new Error('second')
      return position
    }
    const seen: number[] = []
    const run = async () => {
      for await (const result of inOrder(9, work, { concurrency: 4, ahead: 8 })) seen.push(result)
    }
    await expect(run()).rejects.toThrow('second')
    expect(seen).toEqual([0])
    expect(active).toBe(0)
  })
})

test('the order of an epoch is a permutation of its own', () => {
  const order = epochOrder(50, 1, 0)
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
  expect(epochOrder(50, 1, 0)).toEqual(order)
  expect(epochOrder(50, 1, 1)).not.toEqual(order)
  expect(epochOrder(50, 2, 0)).not.toEqual(order)
})
