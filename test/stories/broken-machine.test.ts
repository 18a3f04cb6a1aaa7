// Memory that is not there, and workers that do not start: a clear end, and an engine that serves the next training.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { checkpointFolders } from '../../src/train/checkpoint.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { expectWhole, leftovers } from './injected-faults.ts'
import { errorOf } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'
import { shortOfMemory } from './short-of-memory.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const common = { data, model: trunk, epochs: 2, batchSize: 6, saveEvery: '1' }
const ways: readonly (readonly [string, Partial<TrainOptions>])[] = [
  ['head', { mode: 'head', ema: 0.9 }],
  ['fine-tuning', { mode: 'finetune', unfreeze: 'last:1', augment: 'none', ema: 0.9, bn: 'adapt' }],
  ['fine-tuning without a cache', { mode: 'finetune', unfreeze: 'last:1', cache: 'off', head: 'mlp:8', warmupHead: 1 }],
]

beforeAll(async () => {
  await drawFolder(data, 4)
  await savedModel(trunk, 'mobilenetv1_025')
})

describe.each(ways)('%s', (name, way) => {
  test('ends with 6 when any piece of memory cannot be had, gives the others back, and goes on', async () => {
    const run = (out: string, given: Engine): TrainOptions => {
      const { epochs, batchSize, saveEvery, ...least } = common
      const more = way.mode === 'features' ? {} : { epochs, batchSize, saveEvery }
      // What looks ahead of a training does without what it cannot have.
      return { ...least, ...more, ...way, checks: false, out: join(folder, name, out), engine: given }
    }
    const counting = shortOfMemory(engine, 0)
    await train(run('undisturbed', counting.engine))
    const expected = resultOf(join(folder, name, 'undisturbed'))
    const usedBytes = engine.arena.usedBytes()
    expect(counting.count()).toBeGreaterThan(6)
    for (let n = 1; n <= counting.count(); n++) {
      const out = join(folder, name, `without piece ${n}`)
      const error = await errorOf(train(run(`without piece ${n}`, shortOfMemory(engine, n).engine)))
      expect(error, `piece ${n}`).toMatchObject({ code: 'memory', message: expect.stringContaining('injected') })
      expect(engine.arena.usedBytes(), `after piece ${n}: ${error.message}`).toBe(usedBytes)
      const resumable = existsSync(out) && (await checkpointFolders(out)).length > 0
      if (resumable) await expectWhole(out)
      if (resumable) await train({ data: '', out: '', resume: out, engine })
      else await train({ ...run(`without piece ${n}`, engine), overwrite: true })
      expect(resultOf(out), `after piece ${n}`).toEqual(expected)
      expect(leftovers(out)).toEqual([])
    }
  })
})
