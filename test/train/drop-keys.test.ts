import { expect, test } from 'vitest'
import type { Runner } from '../../src/runtime/runner.ts'
import { type KeyAddress, withKeys } from '../../src/train/drop-keys.ts'
import type { TrainingBatch } from '../../src/train/step.ts'

/** The keys that are written when an epoch comes in batches of these sizes. */
async function keysOf(sizes: readonly number[], address: Partial<KeyAddress> = {}) {
  const pictures: number[] = []
  const steps: string[] = []
  // All that is asked of it.
  const runner = {
    keyed: true,
    writeKeys(own: Uint32Array, step: Uint32Array) {
      pictures.push(...own)
      for (let picture = 0; picture < own.length / 2; picture++) steps.push(step.join())
    },
  } as Partial<Runner> as Runner
  async function* batches(): AsyncGenerator<TrainingBatch> {
    for (const size of sizes) yield { labels: new Int32Array(size), names: () => [], write: () => undefined }
  }
  const where = { seed: 1, epoch: 2, from: 0, stepPictures: 6, ...address }
  for await (const batch of withKeys(batches(), runner, where)) batch.write()
  return { pictures, steps }
}

test('a picture has the keys of its place in the epoch, however batches are cut, and wherever a run goes on', async () => {
  const whole = await keysOf([6, 6, 2])
  expect(new Set(whole.pictures).size).toBe(28)
  expect(whole.steps).toEqual([
    ...Array(6).fill(whole.steps[0]),
    ...Array(6).fill(whole.steps[6]),
    ...Array(2).fill(whole.steps[12]),
  ])
  expect(new Set(whole.steps).size).toBe(3)
  expect(await keysOf([4, 2, 1, 5, 2])).toEqual(whole)
  const later = await keysOf([6, 2], { from: 6 })
  expect(later).toEqual({ pictures: whole.pictures.slice(12), steps: whole.steps.slice(6) })
})

test('other seeds and epochs have other keys', async () => {
  const all = [await keysOf([6]), await keysOf([6], { seed: 2 }), await keysOf([6], { epoch: 3 })]
  expect(new Set(all.flatMap(({ pictures }) => pictures)).size).toBe(36)
  expect(new Set(all.map(({ steps }) => steps[0])).size).toBe(3)
})

test('a runner that leaves nothing out is asked for no keys', async () => {
  const runner = { keyed: false } as Partial<Runner> as Runner
  let written = 0
  async function* batches(): AsyncGenerator<TrainingBatch> {
    yield { labels: new Int32Array(1), names: () => [], write: () => void written++ }
  }
  for await (const batch of withKeys(batches(), runner, { seed: 1, epoch: 1, from: 0, stepPictures: 1 })) batch.write()
  expect(written).toBe(1)
})
