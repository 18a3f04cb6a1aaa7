// Stopped at any step, a training goes on to the same bytes.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { drawFolder } from './drawn-pictures.ts'
import { afterStep, interrupted } from './interrupted.ts'
import { optionWays } from './option-ways.ts'
import { savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const residual = join(folder, 'residual')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const EPOCHS = 3
/** Of 24; a quarter is for validation. */
const TRAINING_PICTURES = 18

beforeAll(async () => {
  // The last batch of an epoch is smaller.
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
  await savedModel(residual, 'mobilenetv2_035')
})

type Way = Partial<TrainOptions>
const fineTune: Way = { mode: 'finetune', unfreeze: 'last:1', epochs: EPOCHS, batchSize: 5, val: '0.25' }
const uneven: Way = { classWeights: 'auto', sampler: 'balanced' }
const ways: readonly (readonly [string, Way])[] = [
  ['a head', { mode: 'head', epochs: EPOCHS, batchSize: 5, val: '0.25' }],
  ['fine-tuning with augmentation', { ...fineTune, augment: 'light' }],
  // Two steps an epoch, of two batches and of a short one, each batch in two parts.
  ['fine-tuning with accumulated gradients', { ...fineTune, batchSize: 6, accum: 2, microBatch: 4, augment: 'light' }],
  ['a head for classes of different size', { mode: 'head', epochs: EPOCHS, batchSize: 5, val: '0.25', ...uneven }],
  ['fine-tuning for classes of different size', { ...fineTune, augment: 'light', ...uneven }],
  ['a head and the average of its weights', { mode: 'head', epochs: EPOCHS, batchSize: 5, val: '0.25', ema: 0.9 }],
  [
    'fine-tuning with averages, rates by layer and gradual thawing',
    { ...fineTune, ema: 0.9, lr: '1e-4:1e-2', gradual: 1, bn: 'train-unfrozen', opt: 'nesterov' },
  ],
  ['a head with dropout', { mode: 'head', head: 'mlp:8x2', epochs: EPOCHS, batchSize: 5, val: '0.25', dropout: 0.4 }],
  [
    'fine-tuning with stochastic depth',
    { ...fineTune, unfreeze: 'last:2', model: residual, dropPath: 0.5, accum: 2, microBatch: 3 },
  ],
  [
    'a head with DropConnect',
    { mode: 'head', head: 'mlp:8x2', epochs: EPOCHS, batchSize: 5, accum: 2, val: '0.25', dropconnect: 0.4 },
  ],
  ['fine-tuning with random erasing', { ...fineTune, augment: 'light', reprob: 0.6 }],
  ['fine-tuning with mixup and cutmix', { ...fineTune, batchSize: 6, accum: 2, microBatch: 4, mixup: 0.4, cutmix: 1 }],
  ['fine-tuning with batch statistics and momentum', { ...fineTune, bn: 'train-unfrozen', opt: 'momentum', lr: 0.01 }],
]

describe.each(ways)('%s', (name, way) => {
  const optionsOf = (out: string): TrainOptions => ({
    data,
    model: trunk,
    out: join(folder, name, out),
    engine,
    ...way,
  })
  const resume = (out: string) =>
    train({ data: '', out: '', resume: join(folder, name, out), engine }).then(() => resultOf(join(folder, name, out)))
  const stepsPerEpoch = Math.ceil(TRAINING_PICTURES / ((way.batchSize ?? 1) * (way.accum ?? 1)))
  const phase = way.mode === 'head' ? 'head' : 'finetune'
  let expected: ReturnType<typeof resultOf>
  beforeAll(async () => {
    await train(optionsOf('undisturbed'))
    expected = resultOf(join(folder, name, 'undisturbed'))
    expect(expected.history.trimEnd().split('\n')).toHaveLength(1 + EPOCHS)
  })

  // Each step has its turn in the slices of time below; here the last step of an epoch, before its validation, and others.
  test('ends the same after a stop', async () => {
    for (const step of [1, stepsPerEpoch, stepsPerEpoch + 2, EPOCHS * stepsPerEpoch]) {
      await interrupted(optionsOf(`stopped at ${step}`), afterStep(phase, step))
      expect(await resume(`stopped at ${step}`), `stopped at step ${step}`).toEqual(expected)
    }
  })

  test('ends the same after stops in the middle of a step', async () => {
    const random = randomStream({ seed: 1, purpose: 'moments of a stop' })
    let stops = 0
    for (let attempt = 0; attempt < 6; attempt++) {
      const out = `stopped somewhere ${attempt}`
      const controller = new AbortController()
      const isDue = afterStep(phase, 1 + random.integer(EPOCHS * stepsPerEpoch - 1))
      const listener = (event: WorkEvent) => {
        const stop = () => controller.abort(new RegraftError('interrupted', 'Stopped by a test.'))
        if (isDue(event)) setTimeout(stop, 5 * random.uniform())
      }
      const error: unknown = await train({ ...optionsOf(out), listener, signal: controller.signal }).then(
        () => undefined,
        (reason) => reason,
      )
      if (error !== undefined) {
        expect(error).toMatchObject({ code: 'interrupted' })
        stops += 1
      }
      expect(await resume(out)).toEqual(expected)
    }
    expect(stops).toBeGreaterThan(0)
  })

  test('ends the same however often it saves', async () => {
    await train({ ...optionsOf('saves at each step'), saveEvery: '1', keepCheckpoints: 1 })
    expect(resultOf(join(folder, name, 'saves at each step'))).toEqual(expected)
  })

  test('ends the same in slices of time', async () => {
    let slices = 0
    const out = join(folder, name, 'slices')
    const sliced = async () => {
      for (;;) {
        const options = slices === 0 ? { ...optionsOf('slices') } : { data: '', out: '', resume: out, engine }
        slices += 1
        const error: unknown = await train({ ...options, time: 0.001 }).then(
          () => undefined,
          (reason) => reason,
        )
        if (error === undefined) return
        expect(error).toMatchObject({ code: 'time', exitCode: 75 })
        expect(slices).toBeLessThan(100)
      }
    }
    await sliced()
    // A step and no more in each, and a validation where the steps of an epoch were over.
    expect(slices).toBeGreaterThan(EPOCHS * stepsPerEpoch)
    expect(resultOf(out)).toEqual(expected)
  })
})

describe.each(optionWays)('%s', (name, way) => {
  test('ends the same when it is stopped at each step', async () => {
    const out = (at: string) => join(folder, `options ${name}`, at)
    const options = (at: string): TrainOptions => ({ data, model: trunk, out: out(at), engine, epochs: 2, ...way })
    await train(options('undisturbed'))
    let slices = 0
    for (;;) {
      const again = slices === 0 ? options('slices') : { data: '', out: '', resume: out('slices'), engine }
      const error: unknown = await train({ ...again, time: 0.001 }).then(
        () => undefined,
        (reason) => reason,
      )
      slices += 1
      if (error === undefined) break
      expect(error).toMatchObject({ code: 'time' })
      expect(slices).toBeLessThan(50)
    }
    expect(slices).toBeGreaterThan(4)
    expect(resultOf(out('slices'))).toEqual(resultOf(out('undisturbed')))
  })
})
