// What the defaults reach on real photos with ImageNet weights, against what PyTorch and scikit-learn reached there. Ten to fifteen minutes.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url))
const folder = temporaryFolder()

describe.skipIf(!existsSync(join(shared, 'images')))('the defaults on real photos', () => {
  const engine = createEngine({ allowV8Flags: true })
  afterAll(() => engine.close())

  let runs = 0
  const trained = (set: string, weights: string, options: Partial<TrainOptions>) =>
    train({
      engine,
      data: join(shared, 'images', set),
      trainList: join(shared, 'images', `${set}.train.txt`),
      val: join(shared, 'images', `${set}.val.txt`),
      model: join(shared, 'weights', weights),
      out: join(folder, `run-${++runs}`),
      ...options,
    })

  for (const [set, least] of [
    ['clothing', 0.8],
    ['produce_messy', 0.92],
  ] as const) {
    for (const mode of ['features', 'head'] as const) {
      test(`--mode ${mode} on ${set} reaches ${least}`, async () => {
        const { best } = await trained(set, 'mobilenet_v1_1.0_224', { mode })
        expect(best.valAccuracy).toBeGreaterThanOrEqual(least)
      })
    }
  }

  test('fine-tuning the last seven blocks gains five points on a frozen trunk', async () => {
    const frozen = await trained('clothing', 'mobilenet_v1_0.25_128', { mode: 'features' })
    const results = []
    for (const seed of [0, 1, 2])
      results.push(await trained('clothing', 'mobilenet_v1_0.25_128', { mode: 'finetune', unfreeze: 'last:7', seed }))
    const median = (values: number[]) => values.sort((a, b) => a - b)[1] ?? 0
    const best = median(results.map((result) => result.best.valAccuracy))
    expect(best).toBeGreaterThanOrEqual(0.77)
    expect(best - frozen.best.valAccuracy).toBeGreaterThanOrEqual(0.05)
    expect(median(results.map((result) => result.final.valAccuracy))).toBeGreaterThanOrEqual(0.755)
  })
})
