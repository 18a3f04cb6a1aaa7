import { existsSync } from 'node:fs'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { lrFind, lrFindSvg } from '../../src/transfer/lr-find.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'

const data = path.join(temporaryFolder(), 'things')
let engine: Engine
beforeAll(async () => {
  engine = createEngine({ threads: 1, simd: 'baseline' })
  await drawFolder(data)
})
afterAll(() => engine.close())

test('a head: the rate rises evenly, the cost falls and then explodes, and a rate between is suggested', async () => {
  const events: WorkEvent[] = []
  const options = { engine, data, batchSize: 8, steps: 60, to: 1000 } as const
  const found = await lrFind({ ...options, listener: (event) => events.push(event) })
  expect(found).toMatchObject({ beyond: 'explodes', mode: 'head', opt: 'adamw', batchSize: 8 })
  const [first, second, third] = found.points.map(({ rate }) => rate)
  expect(first).toBe(1e-6)
  expect((second ?? 0) / (first ?? 0)).toBeCloseTo((third ?? 0) / (second ?? 0), 9)
  expect(found.points.length).toBeLessThanOrEqual(60)
  expect(found.halfway).toBeLessThan(found.threshold ?? 0)
  expect(found.suggestion).toBeGreaterThanOrEqual((found.halfway ?? 0) / 11)
  expect(found.suggestion).toBeLessThanOrEqual(0.55 * (found.threshold ?? 0))
  // A longer training is given smaller steps.
  const longer = await lrFind({ ...options, epochs: 2 * found.epochs })
  expect(longer).toMatchObject({ halfway: found.halfway, threshold: found.threshold, epochs: 2 * found.epochs })
  expect(longer.suggestion).toBeLessThan(found.suggestion ?? 0)
  expect(events.some((event) => event.type === 'progress' && event.phase === 'lr-find')).toBe(true)
  // Nothing of it is left behind: the same again, and no file where it was called.
  expect(await lrFind(options)).toEqual(found)
  expect(existsSync('bad.jsonl')).toBe(false)
  const picture = lrFindSvg(found)
  expect(picture).toContain('<svg')
  expect(picture).toContain('threshold')
})

test('layers of the network: the model that was read is not changed', async () => {
  const options = {
    engine,
    data,
    mode: 'finetune',
    unfreeze: 'last:1',
    batchSize: 8,
    steps: 20,
    augment: 'none',
  } as const
  const found = await lrFind(options)
  expect(found.mode).toBe('finetune')
  expect(found.points.length).toBeGreaterThan(5)
  expect(await lrFind(options)).toEqual(found)
})

test('what has no rate, or no way up, is refused', async () => {
  await expect(lrFind({ engine, data, mode: 'features' })).rejects.toThrow(/solved exactly/)
  await expect(lrFind({ engine, data, from: 1, to: 0.1 })).rejects.toThrow(/rise/)
  await expect(lrFind({ engine, data: `${data}-not-there` })).rejects.toThrow(RegraftError)
})
