// A training that leaves the finite numbers leaves nothing of that behind.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { saveModel } from '../../src/model/save.ts'
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
