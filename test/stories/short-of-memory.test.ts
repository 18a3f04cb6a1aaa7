// What uses a model without training it, on a machine that has not enough memory.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { doctor } from '../../src/transfer/doctor.ts'
import { embed } from '../../src/transfer/embed.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import { gradcheck } from '../../src/transfer/gradcheck.ts'
import { predict } from '../../src/transfer/predict.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { errorOf } from './interrupted.ts'
import { savedModel } from './random-model.ts'
import { shortOfMemory } from './short-of-memory.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const model = join(folder, 'model')
const engine = createEngine({ threads: 1, simd: 'baseline' })
afterAll(() => engine.close())
beforeAll(async () => {
  await drawFolder(data, 2)
  await savedModel(model, 'mobilenetv1_025', { labels: ['bars', 'disc', 'stairs'], imgSize: 32 })
})

let times = 0
const ways = {
  predict: async (given: Engine) => {
    for await (const _ of predict(model, [data], { engine: given }));
  },
  evaluate: (given: Engine) => evaluate(model, data, { engine: given }),
  embed: (given: Engine) => embed(model, [data], { engine: given, out: join(folder, `vectors ${times++}`), pca: 2 }),
  gradcheck: (given: Engine) => gradcheck({ engine: given, model, pictures: 2, burnIn: 1, coordinates: 1 }),
} satisfies Record<string, (given: Engine) => Promise<unknown>>

test.each(Object.entries(ways))('%s ends with 6 and gives back what it had', async (_, work) => {
  const counting = shortOfMemory(engine, 0)
  await work(counting.engine)
  const before = engine.arena.usedBytes()
  expect(counting.count()).toBeGreaterThan(1)
  for (let n = 1; n <= counting.count(); n++) {
    const error = await errorOf(work(shortOfMemory(engine, n).engine))
    expect(error, `piece ${n}`).toMatchObject({ code: 'memory' })
    expect(engine.arena.usedBytes(), `after piece ${n}: ${error.message}`).toBe(before)
  }
})

test('doctor says which check had too little memory, and gives back what it had', async () => {
  const counting = shortOfMemory(engine, 0)
  expect((await doctor({ engine: counting.engine })).checks.every(({ ok }) => ok)).toBe(true)
  const before = engine.arena.usedBytes()
  for (let n = 1; n <= counting.count(); n++) {
    const { checks } = await doctor({ engine: shortOfMemory(engine, n).engine })
    expect(checks.filter(({ ok }) => !ok)).toHaveLength(1)
    expect(engine.arena.usedBytes(), `after piece ${n}`).toBe(before)
  }
})
