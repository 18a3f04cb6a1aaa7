// What is left out or mixed in training: it changes what is learnt, in the same way however a step is computed, and nothing of it is left
// in the model.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { evaluate } from '../../src/transfer/evaluate.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { relativeDifference } from '../support/relative-difference.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const validation = join(folder, 'validation')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

type Way = Partial<TrainOptions>
const fineTune: Way = { mode: 'finetune', unfreeze: 'last:2', augment: 'none', opt: 'momentum', lr: 0.02 }
const head: Way = { mode: 'head', head: 'mlp:8x2', opt: 'momentum', lr: 0.02 }

/** What is switched on, and the same switched off. */
const regularisers: readonly (readonly [string, Way, { readonly on: Way; readonly off: Way }])[] = [
  ['dropout in a head', head, { on: { dropout: 0.4 }, off: { dropout: 0 } }],
  ['stochastic depth', fineTune, { on: { dropPath: 0.5 }, off: { dropPath: 0 } }],
  ['DropConnect in a head', head, { on: { dropconnect: 0.4 }, off: { dropconnect: 0 } }],
  ['DropConnect in fine-tuning', fineTune, { on: { dropconnect: 0.4 }, off: { dropconnect: 0 } }],
  ['random erasing', fineTune, { on: { reprob: 0.6 }, off: { reprob: 0 } }],
  ['mixup', fineTune, { on: { mixup: 0.4 }, off: { mixup: 0 } }],
  ['cutmix', fineTune, { on: { cutmix: 1, smoothing: 0, classWeights: 'auto' }, off: { cutmix: 0 } }],
  ['dropout in fine-tuning', fineTune, { on: { dropout: 0.4 }, off: { dropout: 0 } }],
]

beforeAll(async () => {
  await drawFolder(data, 8)
  await drawFolder(validation, 3, 44)
  await savedModel(trunk, 'mobilenetv2_035')
})

let runs = 0
async function trained(way: Way) {
  const out = join(folder, `run ${runs++}`)
  const notes: string[] = []
  const listener = (event: WorkEvent) => {
    if (event.type === 'note') notes.push(event.message)
  }
  const result = await train({
    listener,
    data,
    model: trunk,
    val: validation,
    epochs: 2,
    batchSize: 8,
    out,
    engine,
    ...way,
  })
  return { ...result, notes, bytes: resultOf(out) }
}

/** How far the trained weights of two runs lie apart. */
async function distance(a: string, b: string): Promise<number> {
  const files = ['model', 'head']
  let most = 0
  for (const file of files) {
    const opened = [a, b].map((run) => openSafetensors(join(run, 'best', `${file}.safetensors`)))
    const [left, right] = await Promise.all(opened).catch(() => [])
    if (!left || !right) continue
    for (const name of left.names())
      most = Math.max(most, relativeDifference((await left.read(name)).data, (await right.read(name)).data))
  }
  return most
}

describe.each(regularisers)('%s', (_, common, { on, off }) => {
  let plain: Awaited<ReturnType<typeof trained>>
  let regularised: Awaited<ReturnType<typeof trained>>
  beforeAll(async () => {
    plain = await trained(common)
    regularised = await trained({ ...common, ...on })
  })

  test('changes what is learnt; switched off it changes no bit', async () => {
    expect(regularised.bytes).not.toEqual(plain.bytes)
    expect((await trained({ ...common, ...off })).bytes).toEqual(plain.bytes)
  })

  test('makes the step of a batch from whatever parts it is computed in', async () => {
    const parts = await trained({ ...common, ...on, batchSize: 2, accum: 4 })
    const pieces = await trained({ ...common, ...on, microBatch: 3 })
    const rounding = Math.max(await distance(regularised.out, parts.out), await distance(regularised.out, pieces.out))
    expect(rounding).toBeLessThan(1e-4)
    expect(await distance(regularised.out, plain.out)).toBeGreaterThan(10 * rounding)
    const other = await trained({ ...common, ...on, seed: 1 })
    expect(await distance(regularised.out, other.out)).toBeGreaterThan(10 * rounding)
  })

  test('leaves nothing in the model: what it was validated with is what it gives', async () => {
    expect(Object.keys(regularised.bytes.tensors)).toEqual(Object.keys(plain.bytes.tensors))
    const names = async (run: string) => (await openSafetensors(join(run, 'best', 'model.safetensors'))).names()
    expect([...(await names(regularised.out))]).toEqual([...(await names(plain.out))])
    const { loss, accuracy } = await evaluate(regularised.out, validation, { engine })
    expect(accuracy).toBe(regularised.best.valAccuracy)
    expect(loss).toBeCloseTo(regularised.best.valLoss, 6)
  })
})

test('mixed pictures are not cached, which is said unless nobody would have', async () => {
  const ofCache = /cache/
  const { notes } = await trained({ ...fineTune, mixup: 0.2 })
  expect(notes.filter((note) => ofCache.test(note))).toEqual([
    'The cache is off: --mixup and --cutmix make pictures of others, and other ones in each step.',
  ])
  const off = await trained({ ...fineTune, mixup: 0.2, cache: 'off' })
  expect(off.notes.filter((note) => ofCache.test(note))).toEqual([])
  const all = await trained({ ...fineTune, unfreeze: 'all', mixup: 0.2, epochs: 1 })
  expect(all.notes.filter((note) => ofCache.test(note))).toEqual([])
})
