// Ten thousand steps: what a training remembers of its past must not add up.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { savedModel } from '../stories/random-model.ts'

const MIB = 2 ** 20
const STEPS = 10_000
const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 40)
  await savedModel(trunk, 'mobilenetv1_025')
})

/** Slope of a straight line through points, by least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const sum = (term: (dx: number, dy: number) => number) =>
    points.reduce((total, [a, b]) => total + term(a - x, b - y), 0)
  return sum((dx, dy) => dx * dy) / sum((dx) => dx * dx)
}

const fineTune = { mode: 'finetune', unfreeze: 'last:1', batchSize: 4, ema: 0.999, saveEvery: '500' } as const
test.each([
  ['with augmentation', { ...fineTune, augment: 'light' }],
  ['from the cache', { ...fineTune, augment: 'none' }],
] as const)('memory grows by less than 1 MiB per 1,000 steps, %s', async (name, way) => {
  const points: [number, number][] = []
  let steps = 0
  const listener = (event: WorkEvent) => {
    if (event.type !== 'progress' || event.phase !== 'finetune') return
    steps += 1
    // What is only waiting to be collected is not kept.
    if (steps % 250 !== 0) return
    globalThis.gc?.()
    points.push([steps / 1000, process.memoryUsage().rss / MIB])
  }
  const out = join(folder, name)
  // More epochs than the steps take, and no end before.
  const options: TrainOptions = { data, model: trunk, out, engine, ...way, epochs: 5000, patience: 0, listener }
  const controller = new AbortController()
  const stopping = {
    ...options,
    listener: (event: WorkEvent) => {
      listener(event)
      if (steps >= STEPS) controller.abort(new RegraftError('interrupted', 'Stopped by a test.'))
    },
  }
  await expect(train({ ...stopping, signal: controller.signal })).rejects.toMatchObject({ code: 'interrupted' })
  // The first thousands fill caches and warm up compilers.
  const settled = points.filter(([thousands]) => thousands >= 3)
  const growth = slopeOf(settled)
  const [first, last] = [settled[0]?.[1] ?? 0, settled.at(-1)?.[1] ?? 0]
  process.stderr.write(
    `${name}: ${growth.toFixed(3)} MiB per 1,000 steps; ${first.toFixed(1)} MiB at ${settled[0]?.[0]},000, ${last.toFixed(1)} at the end\n`,
  )
  expect(growth).toBeLessThan(1)
})
