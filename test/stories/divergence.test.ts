// A training that leaves the finite numbers leaves nothing of that behind.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { saveModel } from '../../src/model/save.ts'
import type { WorkEvent } from '../../src/train/events.ts'
import { train } from '../../src/transfer/train.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { randomModel, savedModel } from './random-model.ts'
import { resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')

beforeAll(async () => {
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
})

/** Numbers in the tensors of a run that are not finite, and how many files were looked at. */
async function notFiniteIn(run: string): Promise<{ files: number; found: readonly string[] }> {
  const names = readdirSync(run, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.safetensors'))
  const found: string[] = []
  for (const name of names) {
    const file = await openSafetensors(join(run, name))
    for (const tensor of file.names()) {
      if (file.dtype(tensor) !== 'F32') continue
      const { data: values } = await file.read(tensor)
      if (!values.every(Number.isFinite)) found.push(`${name}: ${tensor}`)
    }
  }
  return { files: names.length, found }
}

const ways: readonly [string, readonly string[]][] = [
  ['head', ['--mode', 'head', '--opt', 'sgd']],
  ['finetune', ['--mode', 'finetune', '--unfreeze', 'last:1', '--opt', 'sgd']],
  [
    'finetune with batch statistics',
    ['--mode', 'finetune', '--unfreeze', 'last:1', '--bn', 'train-unfrozen', '--opt', 'momentum'],
  ],
]

describe.each(ways)('a rate of 1e30 in %s', (name, words) => {
  const common = ['--model', trunk, '--epochs', '3', '--batch-size', '5', '--lr', '1e30', '--clip-grad', '0']

  test.each([
    [
      'stop',
      /^regraft: (The (loss|norm of the gradient) is (NaN|-?Infinity)|Weights are no longer finite) in epoch 1, (after )?step \d+/m,
    ],
    ['skip', /skipping steps does not help|no longer finite/],
    ['lower-lr', /also with a rate lowered 3 times/],
  ])('ends with advice and finite checkpoints (--on-nan %s)', async (policy, message) => {
    const out = join(folder, `${name} ${policy}`)
    const words2 = [...common, ...words, '--out', out, '--on-nan', policy, '--save-every', '1']
    const ran = await regraft(['train', data, ...words2])
    expect(ran.exitCode, ran.stderr).toBe(2)
    expect(ran.stderr).toMatch(message)
    expect(ran.stderr).toMatch(/Begin anew with a lower --lr/)
    const { files, found } = await notFiniteIn(out)
    expect(files).toBeGreaterThanOrEqual(3)
    expect(found).toEqual([])
  })
})

test('lower-lr brings a training to its end, and to the same one with stops in between', async () => {
  // Logits beyond f32 at first; those of a lower rate are not, and train in their way.
  const words = [
    '--mode',
    'head',
    '--opt',
    'sgd',
    '--epochs',
    '3',
    '--batch-size',
    '5',
    '--lr',
    '1e38',
    '--weight-decay',
    '0',
  ]
  const common = [...words, '--on-nan', 'lower-lr', '--patience', '0']
  const out = join(folder, 'lowered')
  const ran = await regraft(['train', data, '--model', trunk, '--out', out, ...common])
  expect(ran.exitCode, ran.stderr).toBe(0)
  const notes = ran.stderr.match(/goes back to the beginning of the epoch, with a learning rate of \S+\.$/gm)
  expect(notes?.length).toBeGreaterThan(0)
  expect(ran.stderr).toMatch(/in epoch 1, step \d+ \((bars|disc|stairs)\/\d\.png, .* and 1 more\)/)
  expect((await notFiniteIn(out)).found).toEqual([])

  const sliced = join(folder, 'lowered in slices')
  let code = (await regraft(['train', data, '--model', trunk, '--out', sliced, ...common, '--time', '0.001s'])).exitCode
  let slices = 1
  for (; code === 75; slices++) code = (await regraft(['train', '--resume', sliced, '--time', '0.001s'])).exitCode
  expect(code).toBe(0)
  expect(slices).toBeGreaterThan(12)
  expect(resultOf(sliced)).toEqual(resultOf(out))
})

test('features that overflow are refused, with the picture', async () => {
  const model = await spoilt('overflowing', 'resnet18', 'bn1.bias', 3e38)
  const out = join(folder, 'from overflowing')
  const ran = await regraft(['train', data, '--model', model, '--out', out, '--epochs', '1'])
  expect(ran.exitCode, ran.stderr).toBe(4)
  expect(ran.stderr).toMatch(/The features of \S+\.png are not finite numbers: the weights of .*overflowing/)
  expect(existsSync(out)).toBe(false)
})

test.each([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
])('a model with a weight of %s is refused by name', async (name, value) => {
  const model = await spoilt(`with ${name}`, 'mobilenetv1_025', 'conv_stem.weight', value)
  const ran = await regraft(['train', data, '--model', model, '--out', join(folder, `from ${name}`)])
  expect(ran.exitCode, ran.stderr).toBe(4)
  expect(ran.stderr).toMatch(
    new RegExp(`with ${name}.model\\.safetensors: conv_stem\\.weight has values that are not finite`),
  )
})

/** What a poisoned engine spoils, when the n-th step of the fine-tuning has been made. */
type Poison = 'a weight' | 'a picture'

/**
 * An engine in whose memory something becomes NaN after some steps. Weights are known by being looked at first after a step, where
 * each is saved; the pictures of a batch by being written before weights and targets, which come right before the run.
 */
function poisoned(engine: Engine, poison: Poison, afterSteps: number): { engine: Engine; stepMade: () => void } {
  let steps = 0
  let armed = false
  let looked: { address: number; length: number }[] = []
  return {
    stepMade() {
      steps += 1
      armed = steps === afterSteps
      looked = []
    },
    engine: {
      ...engine,
      floats(address, length) {
        const view = engine.floats(address, length)
        if (!armed) return view
        if (poison === 'a weight') {
          armed = false
          view[1] = Number.NaN
        } else looked.push({ address, length })
        return view
      },
      run(programs, images, signal) {
        const pictures = looked.at(-3)
        if (armed && pictures && images > 1) {
          armed = false
          // The first picture of the batch.
          engine.floats(pictures.address, pictures.length / images).fill(Number.NaN)
        }
        return engine.run(programs, images, signal)
      },
    },
  }
}

describe.each(['a weight', 'a picture'] as const)('%s of NaNs in the middle of a training', (poison) => {
  const sound = createEngine({ threads: 2, simd: 'baseline' })
  afterAll(() => sound.close())
  const options = { data, model: trunk, mode: 'finetune', unfreeze: 'last:1', augment: 'none', epochs: 4 } as const

  /** Stops being sound two steps into the third epoch. */
  async function run(onNan: 'stop' | 'skip' | 'lower-lr') {
    const out = join(folder, `${poison} ${onNan}`)
    const { engine, stepMade } = poisoned(sound, poison, poison === 'a weight' ? 10 : 9)
    const notes: string[] = []
    const listener = (event: WorkEvent) => {
      if (event.type === 'progress' && event.phase === 'finetune') stepMade()
      if (event.type === 'note') notes.push(event.message)
    }
    const words = { ...options, batchSize: 5, saveEvery: '1', onNan, out, engine, listener, val: '0.25' }
    const error: unknown = await train(words).then(
      () => undefined,
      (reason) => reason,
    )
    expect((await notFiniteIn(out)).found).toEqual([])
    expect((await loadModel(out)).model.labels).toEqual(['bars', 'disc', 'stairs'])
    return { error, notes, out }
  }

  test('stops with a name and advice, and goes on soundly from what was saved', async () => {
    const { error, out } = await run('stop')
    expect(error).toMatchObject({ code: 'usage', exitCode: 2 })
    const found =
      poison === 'a weight'
        ? /Weights are no longer finite in epoch 3, after step \d/
        : /(loss|norm of the gradient) is NaN in epoch 3, step \d \((bars|disc|stairs)\/\d\.png, /
    expect(String(error)).toMatch(found)
    expect(String(error)).toMatch(/Begin anew with a lower --lr/)
    const undisturbed = join(folder, `no poison for ${poison}`)
    await train({ ...options, batchSize: 5, out: undisturbed, engine: sound, val: '0.25' })
    await train({ data: '', out: '', resume: out, engine: sound })
    expect(resultOf(out)).toEqual(resultOf(undisturbed))
  })

  test('is left behind with a lower rate', async () => {
    const { error, notes } = await run('lower-lr')
    expect(error).toBeUndefined()
    expect(notes.filter((note) => note.includes('goes back to the beginning of the epoch'))).toHaveLength(1)
  })

  test.skipIf(poison === 'a weight')('is skipped', async () => {
    const { error, notes } = await run('skip')
    expect(error).toBeUndefined()
    expect(notes.filter((note) => note.includes('the step is skipped'))).toHaveLength(1)
  })
})

/** A saved model with one weight changed. */
async function spoilt(name: string, architecture: string, tensor: string, value: number): Promise<string> {
  const model = await randomModel(architecture)
  const tensors = new Map(model.tensors)
  const { shape, data: values } = tensors.get(tensor) ?? { shape: [], data: new Float32Array() }
  const changed = values.slice()
  changed[1] = value
  tensors.set(tensor, { shape, data: changed })
  await saveModel({ ...model, tensors }, join(folder, name))
  return join(folder, name)
}
