// --bn adapt: what batch norm knows of its inputs comes from the training pictures.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { imageOutputs } from '../../src/transfer/extract-features.ts'
import { openInference, openSession } from '../../src/transfer/session.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { afterEpoch, interrupted } from '../stories/interrupted.ts'
import { savedModel } from '../stories/random-model.ts'
import { resultOf } from '../stories/run-result.ts'
import { excess } from '../support/values.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())
beforeAll(async () => {
  await drawFolder(data, 6)
  await savedModel(trunk, 'mobilenetv1_025')
})

const adapted = { mode: 'finetune', unfreeze: 'last:1', bn: 'adapt', augment: 'none', epochs: 2 } as const
const statistic = async (run: string, name: string) =>
  (await (await openSafetensors(join(run, 'best', 'model.safetensors'))).read(name)).data

test('the first batch norm has mean and variance of the training pictures, whatever the batch', async () => {
  const means: Float32Array[] = []
  for (const batchSize of [3, 32]) {
    const out = join(folder, `batches of ${batchSize}`)
    await train({ data, model: trunk, out, engine, ...adapted, batchSize })
    const rows = readFileSync(join(out, 'split.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((row) => JSON.parse(row))
    const samples = rows.filter(({ split }) => split === 'train').map(({ path }) => ({ path, file: join(data, path) }))
    const { model } = await loadModel(trunk)
    const session = await openSession(engine, model)
    const runner = await openInference(engine, session, 1, ['conv_stem'])
    // Every pixel of every picture, [pixels, channels].
    const values: number[][] = Array.from({ length: 8 }, () => [])
    for (const sample of samples) {
      await imageOutputs(runner, [sample], {
        signal: undefined,
        phase: 'features',
        preprocessing: model.preprocessing,
        layer: 'global_pool',
      })
      for (const [at, value] of runner.read('conv_stem', 1).entries()) values[at % 8]?.push(value)
    }
    runner.close()
    session.close()
    const mean = values.map((all) => all.reduce((a, b) => a + b, 0) / all.length)
    const variance = values.map((all, c) => all.reduce((sum, x) => sum + (x - (mean[c] ?? 0)) ** 2, 0) / all.length)
    const found = await statistic(out, 'bn1.running_mean')
    expect(excess(found, mean, 1e-4)).toBeLessThan(1e-5)
    expect(excess(await statistic(out, 'bn1.running_var'), variance, 2e-3)).toBeLessThan(1e-5)
    means.push(found)
  }
  expect(excess(means[0] ?? [], means[1] ?? [], 1e-4)).toBeLessThan(1e-6)
})

test('all batch norms learn, once, and a run that goes on finds the same', async () => {
  const out = join(folder, 'undisturbed')
  const options = { data, model: trunk, engine, ...adapted, batchSize: 5 }
  await train({ ...options, out })
  const before = await openSafetensors(join(trunk, 'model.safetensors'))
  for (const name of ['bn1', 'blocks.2.0.bn1', 'blocks.4.1.bn2'])
    expect(await statistic(out, `${name}.running_var`)).not.toEqual((await before.read(`${name}.running_var`)).data)
  const stopped = join(folder, 'stopped')
  await interrupted({ ...options, out: stopped }, afterEpoch(1))
  await train({ data: '', out: '', resume: stopped, engine })
  expect(resultOf(stopped)).toEqual(resultOf(out))
})
