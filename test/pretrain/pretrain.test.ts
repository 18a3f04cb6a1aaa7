// Training from scratch on packed pictures: the same again gives the same bits, and so does a training in pieces.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PackedData, PackedSample } from '../../scripts/pretrain/packed.ts'
import { pretrain } from '../../scripts/pretrain/pretrain.ts'
import { type Recipe, recipe } from '../../scripts/pretrain/recipe.ts'
import { release, validate } from '../../scripts/pretrain/release.ts'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { randomStream } from '../../src/random.ts'
import { checkpointFolders } from '../../src/train/checkpoint.ts'
import { outputsOf } from '../../src/transfer/golden.ts'

const SIZE = 16
const classes = ['red', 'green', 'blue']

const tiny: Recipe = {
  network: {
    stem: 8,
    stages: [
      { channels: 8, blocks: 1 },
      { channels: 16, blocks: 2 },
    ],
    features: 32,
  },
  stages: [
    { size: 12, epochs: 2, lr: 0.1, sched: 'exponential', decayRate: 0.5, warmupEpochs: 1 },
    { size: SIZE, epochs: 2, lr: 0.05, sched: 'cosine', warmupEpochs: 0 },
  ],
  training: { ...recipe.training, batchSize: 16, ema: 0.9 },
}

/** Noise in which one colour is stronger. */
function noisyPictures(count: number, purpose: string): readonly PackedSample[] {
  return Array.from({ length: count }, (_, index) => {
    const label = index % classes.length
    const random = randomStream({ seed: 0, sample: index, purpose })
    const bytes = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, at) => random.integer(at % 3 === label ? 256 : 160))
    const name = `${purpose} ${index}`
    return { path: name, file: name, label, pixels: { bytes, width: SIZE, height: SIZE, channels: 3 } }
  })
}

const data: PackedData = {
  classes,
  size: SIZE,
  train: noisyPictures(72, 'train'),
  validation: noisyPictures(30, 'validation'),
  sha256: '0'.repeat(64),
}

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'regraft-pretrain-'))
  engine = createEngine({ threads: 2 })
})
afterAll(async () => {
  await engine.close()
  await rm(folder, { recursive: true, force: true })
})

/** What a whole run left that must not depend on how it came about. */
async function resultOf(out: string): Promise<readonly string[]> {
  const files = await Promise.all(
    ['stage-1', 'stage-2'].map(async (stage) => {
      const last = (await checkpointFolders(path.join(out, stage))).at(-1) ?? ''
      return [
        `${stage}/losses.csv`,
        `${stage}/best/model.safetensors`,
        ...['weights', 'optimiser'].map((part) => `${stage}/checkpoints/${last}/${part}.safetensors`),
      ]
    }),
  )
  return await Promise.all(files.flat().map((file) => readFile(path.join(out, file), 'latin1')))
}

test('the same training gives the same losses and weights, and learns', { timeout: 180_000 }, async () => {
  const runs = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const out = path.join(folder, name)
      const { progress } = await pretrain({ engine, data, recipe: tiny, out })
      return { progress, result: await resultOf(out) }
    }),
  )
  expect(runs[0]?.result).toEqual(runs[1]?.result)
  expect(runs[0]?.result[0]?.split('\n').length).toBe(1 + 2 * 5 + 1)
  const [first, last] = [runs[0]?.progress.history.at(0), runs[0]?.progress.history.at(-1)]
  expect(last?.trainLoss).toBeLessThan(first?.trainLoss ?? 0)
})

test('stopped after any step of either stage, it goes on to the same end', { timeout: 180_000 }, async () => {
  const out = path.join(folder, 'pieces')
  for (const steps of [3, 10, 17])
    await expect(pretrain({ engine, data, recipe: tiny, out, steps })).rejects.toMatchObject({ code: 'time' })
  const stop = new AbortController()
  const stopped = pretrain({
    engine,
    data,
    recipe: tiny,
    out,
    signal: stop.signal,
    listener: (event) => event.type === 'step' && stop.abort(),
  })
  await expect(stopped).rejects.toThrow()
  await pretrain({ engine, data, recipe: tiny, out })
  expect(await resultOf(out)).toEqual(await resultOf(path.join(folder, 'one')))
})

test('a later stage begins with the weights of a model', async () => {
  const { model } = await loadModel(path.join(folder, 'one', 'stage-1', 'best'))
  const out = path.join(folder, 'later')
  const options = { engine, data, recipe: tiny, out, start: { stage: 2, model } }
  await expect(pretrain({ ...options, steps: 3 })).rejects.toMatchObject({ code: 'time' })
  const { progress } = await pretrain(options)
  expect(progress.history).toHaveLength(2)
  const losses = (await readFile(path.join(out, 'stage-2', 'losses.csv'), 'utf8')).split('\n')
  const scratch = (await resultOf(path.join(folder, 'one')))[0]?.split('\n')
  expect(Number(losses[1]?.split(',')[1])).toBeLessThan(Number(scratch?.[1]?.split(',')[1]))
})

test('what is released is the best model in half precision, at the size of its use', async () => {
  const [best, released] = [path.join(folder, 'one', 'stage-2', 'best'), path.join(folder, 'released')]
  await release(engine, { best, folder: released, size: 24, recipe: tiny })
  const { model } = await loadModel(released)
  expect(model.preprocessing).toMatchObject({ width: 24, height: 24 })
  expect(model.labels).toEqual(classes)
  const [whole, halved] = [await validate(engine, data, best, SIZE), await validate(engine, data, released, SIZE)]
  expect(halved.loss).toBeCloseTo(whole.loss, 2)
  const weights = await openSafetensors(path.join(released, 'model.safetensors'))
  expect(weights.dtype('conv_stem.weight')).toBe('F16')
  const golden = await openSafetensors(path.join(released, 'golden.safetensors'))
  const outputs = await outputsOf(engine, model, await golden.readBytes('pictures'), 2, undefined)
  expect(outputs).toEqual((await golden.read('outputs')).data)
  await expect(validate(engine, { ...data, classes: ['one', 'two'] }, best, SIZE)).rejects.toThrow(/other classes/)
})

test('a folder of another training is refused', async () => {
  const other = { ...tiny, training: { ...tiny.training, smoothing: 0.2 } }
  const options = { engine, data, out: path.join(folder, 'one') }
  await expect(pretrain({ ...options, recipe: other })).rejects.toThrow(/began otherwise \(config\)/)
  const otherData = { ...data, sha256: '1'.repeat(64) }
  await expect(pretrain({ ...options, data: otherData, recipe: tiny })).rejects.toThrow(
    /began otherwise \(data, config\)/,
  )
})
