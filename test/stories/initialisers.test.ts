// How what is fresh begins, through the real command.
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { loadModel } from '../../src/model/load.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')

beforeAll(async () => {
  await drawFolder(data, 6)
  await savedModel(trunk, 'mobilenetv1_025')
})

function train(name: string, ...words: readonly string[]) {
  const common = ['--simd', 'baseline', '--no-checks', '--out', join(folder, name)]
  return regraft(['train', data, '--model', trunk, ...common, ...words])
}

async function trained(name: string, ...words: readonly string[]) {
  const { exitCode, stderr } = await train(name, ...words)
  expect(exitCode, stderr).toBe(0)
  const { model } = await loadModel(join(folder, name))
  return (tensor: string) => model.tensors.get(tensor)?.data ?? new Float32Array(0)
}

// A rate of almost nothing leaves the weights as they began.
const still = ['--opt', 'sgd', '--lr', '1e-12', '--weight-decay', '0', '--epochs', '1']
const sizeOf = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

test('with zeros hidden units stay alike and learn nothing', async () => {
  const words = ['--head', 'mlp:6', '--init', 'zeros', '--epochs', '4', '--lr', '0.05']
  const tensor = await trained('zeros', ...words)
  for (const name of ['head.hidden.0.weight', 'head.classifier.weight']) {
    expect(tensor(name).length).toBeGreaterThan(0)
    expect(sizeOf(tensor(name))).toBe(0)
  }
  const random = await trained('he', ...words.with(3, 'he-normal'))
  expect(sizeOf(random('head.classifier.weight'))).toBeGreaterThan(0.01)
})

test.each(['head', 'finetune'])(
  'weights and biases of a new head begin as they are told in --mode %s',
  async (mode) => {
    const way = mode === 'finetune' ? ['--unfreeze', 'last:1', '--warmup-head', '0'] : []
    const words = ['--mode', mode, '--head', 'mlp:200', '--init', 'uniform:0.3,constant:0.25', ...way, ...still]
    const tensor = await trained(`told ${mode}`, ...words)
    const weights = tensor('head.classifier.weight')
    expect(sizeOf(weights)).toBeLessThanOrEqual(0.3)
    expect(sizeOf(weights)).toBeGreaterThan(0.29)
    expect([...tensor('head.classifier.bias')].map((bias) => Number(bias.toFixed(6)))).toEqual([0.25, 0.25, 0.25])
  },
)

test('a whole network begins as it is told, its norms aside', async () => {
  const words = ['--mode', 'finetune', '--no-pretrained', '--augment', 'none', '--bn', 'frozen', ...still]
  const tensor = await trained('whole', ...words, '--init', 'uniform:0.1')
  for (const name of ['conv_stem.weight', 'blocks.2.0.conv_dw.weight', 'classifier.weight']) {
    expect(sizeOf(tensor(name))).toBeLessThanOrEqual(0.1)
    expect(sizeOf(tensor(name))).toBeGreaterThan(0.09)
  }
  expect([...tensor('bn1.weight')].every((scale) => Math.abs(scale - 1) < 1e-6)).toBe(true)
})

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown name', ['--init', 'hee-normal'], /--init: 'hee-normal' is not known.*Did you mean 'he-normal'/],
  [
    'a beginning of what is solved',
    ['--mode', 'features', '--init', 'he'],
    /--init has a meaning only with --mode head/,
  ],
  [
    'a beginning of what is solved first',
    ['--mode', 'finetune', '--init', 'he'],
    /change nothing.*--warmup-head 3.*--no-pretrained/,
  ],
]

test.each(refused)('%s is refused with the way out', async (_, words, message) => {
  const { exitCode, stderr } = await train('never', ...words)
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(message)
})

test('a head that training goes on from does not begin', async () => {
  const again = ['--model', join(folder, 'told head'), '--head', 'mlp:200', '--init', 'he', '--mode', 'finetune']
  const { exitCode, stderr } = await regraft(['train', data, ...again, '--out', join(folder, 'never')])
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/--init he has nothing to begin: the head of .* has the same classes/)
})
