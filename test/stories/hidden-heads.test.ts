// Heads with hidden layers, through the real command: they learn, are saved beside timm's trunk, and give the same when read back.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { outputsOf } from '../../src/transfer/golden.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 8)
  await savedModel(trunk, 'mobilenetv1_025')
})

function train(name: string, ...words: readonly string[]) {
  const common = ['--simd', 'baseline', '--no-checks', '--patience', '0', '--out', join(folder, name)]
  return regraft(['train', data, '--model', trunk, ...common, ...words])
}

/** Trains, and compares what is saved with what the trainer itself gave. */
async function trained(name: string, ...words: readonly string[]) {
  const { exitCode, stderr } = await train(name, ...words)
  expect(exitCode, stderr).toBe(0)
  const best = join(folder, name, 'best')
  const rows = readFileSync(join(folder, name, 'history.csv'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
  const losses = rows.map((row) => Number(row.split(',')[2]))
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? Number.NaN)

  const { model } = await loadModel(best)
  const golden = await openSafetensors(join(best, 'golden.safetensors'))
  const { data: pictures } = await golden.read('pictures')
  const outputs = await outputsOf(engine, model, Uint8Array.from(pictures), 2, undefined)
  expect([...outputs]).toEqual([...(await golden.read('outputs')).data])
  expect(JSON.parse(readFileSync(join(best, 'config.json'), 'utf8')).num_classes).toBe(0)
  const head = await openSafetensors(join(best, 'head.safetensors'))
  const inTrunk = (await openSafetensors(join(best, 'model.safetensors'))).names()
  expect(inTrunk.filter((tensor) => tensor.startsWith('head.'))).toEqual([])
  return { model, head, best }
}

const activations = [
  ['relu', undefined],
  ['sigmoid', 'sigmoid'],
  ['tanh', 'tanh'],
  ['leaky-relu:0.1', 'leaky-relu:0.1'],
  ['elu:1', 'elu:1'],
  ['prelu', 'prelu'],
  ['prelu:shared', 'prelu:shared'],
  ['relu6', 'relu6'],
  ['selu', 'selu'],
  ['hardswish', 'hard-swish'],
  ['hardsigmoid', 'hard-sigmoid'],
  ['silu', 'silu'],
  ['gelu', 'gelu'],
  ['gelu-tanh', 'gelu-tanh'],
  ['mish', 'mish'],
  ['softplus', 'softplus'],
] as const

test.each(activations)('--activation %s', async (name, saved) => {
  const words = ['--head', 'mlp:7x2', '--activation', name, '--epochs', '3', '--opt', 'adam', '--lr', '0.01']
  const { model, head } = await trained(name.replace(':', ' '), ...words)
  expect(model.head).toEqual({ kind: 'mlp', width: 7, depth: 2, ...(saved && { activation: saved }) })
  const slopes = head.names().filter((tensor) => tensor.includes('activation'))
  if (!name.startsWith('prelu')) return expect(slopes).toEqual([])
  expect(slopes).toEqual(['head.hidden.0.activation.weight', 'head.hidden.1.activation.weight'])
  const { shape, data: values } = await head.read('head.hidden.0.activation.weight')
  expect(shape).toEqual([name === 'prelu' ? 7 : 1])
  // They begin at 0.25, and are learnt.
  expect(values.every((slope) => slope !== 0.25)).toBe(true)
})

test.each(['head', 'features', 'finetune'])('--head maxout:5x3 in --mode %s', async (mode) => {
  const fineTune = ['--unfreeze', 'last:1', '--augment', 'none', '--warmup-head', '0', '--opt', 'sgd', '--lr', '1e-4']
  const way = mode === 'finetune' ? fineTune : ['--lr', '0.003']
  const words = ['--mode', mode, '--head', 'maxout:5x3', '--epochs', '3', ...way]
  const { model, head } = await trained(`maxout ${mode}`, ...words)
  expect(model.head).toEqual({ kind: 'maxout', width: 5, pieces: 3 })
  expect(head.shape('head.hidden.0.weight')).toEqual([15, 256])
  expect(head.shape('head.classifier.weight')).toEqual([3, 5])
})

test('a head of a former run is gone on with when it is asked for again, and else put aside', async () => {
  const run = join(folder, 'maxout head')
  const common = ['--simd', 'baseline', '--no-checks', '--mode', 'finetune', '--unfreeze', 'last:1', '--epochs', '1']
  const again = ['train', data, '--model', run, ...common]
  const same = await regraft([...again, '--head', 'maxout:5x3', '--out', join(folder, 'goes on')])
  expect(same.exitCode, same.stderr).toBe(0)
  expect(same.stderr).toContain('training goes on from it')
  const other = await regraft([...again, '--head', 'maxout:5x2', '--out', join(folder, 'begins')])
  expect(other.exitCode, other.stderr).toBe(0)
  expect(other.stderr).not.toContain('training goes on from it')
})

test.each(['prelu', 'maxout head'])('a head with hidden layers (%s) is exported as ONNX', async (name) => {
  const words = ['--format', 'onnx', '--simd', 'baseline', '--out', join(folder, `${name} onnx`)]
  const exported = await regraft(['export', join(folder, name), ...words])
  expect(exported.exitCode, exported.stderr).toBe(0)
})

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown head', ['--head', 'maxot:8x2'], /--head maxot:8x2 is not understood. Did you mean 'maxout'\?/],
  ['a maximum of one piece', ['--head', 'maxout:8x1'], /--head maxout:8x1 is not understood.*2 to 16 pieces/],
  ['an unknown activation', ['--head', 'mlp', '--activation', 'gelo'], /gelo is not known. Did you mean 'gelu'\?/],
  [
    'a number that has no meaning',
    ['--head', 'mlp', '--activation', 'gelu:2'],
    /gelu does not take that.*leaky-relu:0.1/,
  ],
  ['an activation without hidden layers', ['--activation', 'gelu'], /--head linear has none.*--head mlp/],
  ['two activations', ['--head', 'maxout', '--activation', 'relu'], /--head maxout has its maximum in its place/],
]

test.each(refused)('%s is refused with the way out', async (_, words, message) => {
  const { exitCode, stderr } = await train('never', ...words)
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(message)
})
