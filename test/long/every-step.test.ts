// Stopped at each of 40 steps and gone on with, a training of 64 pictures ends with the same bytes.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { afterStep, interrupted } from '../stories/interrupted.ts'
import { optionWays } from '../stories/option-ways.ts'
import { savedModel } from '../stories/random-model.ts'
import { resultOf } from '../stories/run-result.ts'

const [PICTURES, EPOCHS, STEPS] = [64, 5, 40]
const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const [trainList, val] = [join(folder, 'train.txt'), join(folder, 'val.txt')]
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  const files = await drawFolder(data, 25)
  const lines = files.map((file) => `${file.slice(data.length + 1)}\n`)
  // Some of every class for validation.
  const validates = (at: number) => at % 7 === 0
  const train = lines.filter((_, at) => !validates(at))
  expect(train).toHaveLength(PICTURES)
  writeFileSync(trainList, train.join(''))
  writeFileSync(val, lines.filter((_, at) => validates(at)).join(''))
  await savedModel(trunk, 'mobilenetv1_025')
})

test.each(optionWays)('with %s', async (name, way) => {
  const out = (at: string) => join(folder, `${name} ${at}`)
  const options = (at: string): TrainOptions => ({
    data,
    model: trunk,
    trainList,
    val,
    epochs: EPOCHS,
    out: out(at),
    engine,
    ...way,
  })
  let steps = 0
  await train({
    ...options('undisturbed'),
    listener: ({ type, ...event }) => {
      if (type === 'progress' && 'phase' in event && event.phase === 'finetune') steps += 1
    },
  })
  expect(steps).toBe(STEPS)
  const expected = resultOf(out('undisturbed'))
  for (let step = 1; step <= STEPS; step++) {
    const at = `stopped at ${step}`
    await interrupted(options(at), afterStep('finetune', step))
    await train({ data: '', out: '', resume: out(at), engine })
    expect(resultOf(out(at)), at).toEqual(expected)
    rmSync(out(at), { recursive: true })
  }
})
