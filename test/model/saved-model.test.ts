// What is saved is what was trained.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import type { Head, Model } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import { randomStream } from '../../src/random.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { goldenPictures } from '../../src/transfer/golden.ts'
import { createHeadTrainer } from '../../src/transfer/head-trainer.ts'
import { solveHead } from '../../src/transfer/linear-solvers.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from '../stories/command-line.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { randomModel, savedModel } from '../stories/random-model.ts'
import { digestOf } from '../stories/run-result.ts'
import { outputsOf } from './outputs-of.ts'
import { keysOf } from './safetensors-keys.ts'

const folder = temporaryFolder()
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const pictures = goldenPictures(5, 32, 32)
const labels = ['rose', 'tulip', '10', '9', 'ä "b"\n<c>']

describe.each([
  ['linear', { kind: 'linear' }],
  ['mlp', { kind: 'mlp', width: 12, depth: 2 }],
  ['none', { kind: 'none' }],
] as const)('a model with the head %s', (name, head: Head) => {
  const saved = join(folder, name)
  let model: Model

  test('gives the same outputs, bit for bit, after saving and loading', async () => {
    model = await randomModel('mobilenetv1_025', { head, labels: head.kind === 'none' ? [] : labels })
    await saveModel(model, saved)
    const loaded = (await loadModel(saved)).model
    expect(await outputsOf(engine, loaded, pictures)).toEqual(await outputsOf(engine, model, pictures))
  })

  test('comes back with all that it was', async () => {
    const { model: loaded, report } = await loadModel(saved)
    const { origin: _, tensors, ...rest } = loaded
    const { origin: __, tensors: expected, ...expectedRest } = model
    expect(rest).toEqual(expectedRest)
    expect(digestsOf(tensors)).toEqual(digestsOf(expected))
    expect([report.missing, report.unused, report.wrongShape]).toEqual([[], [], []])
  })

  test('is saved again with the same bytes', async () => {
    const again = join(folder, `${name} again`)
    await saveModel((await loadModel(saved)).model, again)
    for (const file of ['model.safetensors', 'config.json'])
      expect(digestOf(join(again, file))).toBe(digestOf(join(saved, file)))
  })
})

function digestsOf(tensors: Model['tensors']): Readonly<Record<string, string>> {
  const digest = ([name, { shape, data }]: [string, HostTensor]) => [
    name,
    `${shape} ${createHash('sha256').update(data).digest('hex')}`,
  ]
  return Object.fromEntries([...tensors].map(digest))
}

test('a hidden head is saved beside the trunk, which stays as timm has it', () => {
  const keys = keysOf(join(folder, 'mlp', 'model.safetensors'))
  const trunk = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', 'mobilenetv1_025.keys.json'), 'utf8'))
  expect(keys).toEqual(trunk)
  expect(JSON.parse(readFileSync(join(folder, 'mlp', 'config.json'), 'utf8'))).toMatchObject({ num_classes: 0 })
  expect(keysOf(join(folder, 'mlp', 'head.safetensors'))).toEqual({
    'head.hidden.0.weight': ['F32', 12, 256],
    'head.hidden.0.bias': ['F32', 12],
    'head.hidden.1.weight': ['F32', 12, 12],
    'head.hidden.1.bias': ['F32', 12],
    'head.classifier.weight': ['F32', 5, 12],
    'head.classifier.bias': ['F32', 5],
  })
})

test('a trained hidden head predicts after loading what it validated', async () => {
  const data = join(folder, 'data')
  await drawFolder(data, 6)
  const trunk = await savedModel(join(folder, 'trunk'), 'mobilenetv1_025')
  const out = join(folder, 'mlp-run')
  const words = ['--head', 'mlp:16', '--mode', 'head', '--epochs', '5', '--val', '0.5', '--lr', '0.01']
  const ran = await regraft(['train', data, '--model', trunk, '--out', out, '--json', ...words])
  expect(ran.exitCode, ran.stderr).toBe(0)
  const { best } = JSON.parse(ran.stdout)
  const split = readFileSync(join(out, 'split.jsonl'), 'utf8').trimEnd().split('\n')
  const validation = split.map((line) => JSON.parse(line)).filter((row) => row.split === 'val')
  const predicted = await regraft(['predict', out, ...validation.map((row) => join(data, row.path)), '--json'])
  expect(predicted.exitCode, predicted.stderr).toBe(0)
  const right = predicted.stdout
    .trimEnd()
    .split('\n')
    .filter((line, row) => JSON.parse(line).label === validation[row].label)
  expect(right.length / validation.length).toBe(best.val_accuracy)
})

test('the outputs beside a saved run are those of the saved model', async () => {
  const best = join(folder, 'mlp-run', 'best')
  const golden = await openSafetensors(join(best, 'golden.safetensors'))
  const { model } = await loadModel(join(folder, 'mlp-run'))
  const relaxed = createEngine({ threads: 1, allowV8Flags: true })
  try {
    const outputs = await outputsOf(relaxed, model, await golden.readBytes('pictures'))
    expect(outputs).toEqual((await golden.read('outputs')).data)
  } finally {
    await relaxed.close()
  }
})

describe('standardisation', () => {
  const width = 9
  const rows = 40
  const random = randomStream({ seed: 3, purpose: 'vectors of a test' })
  // Features of different size; one without variance, one that is zero.
  const values = Float32Array.from({ length: rows * width }, (_, index) => {
    const column = index % width
    if (column === 3) return 0
    if (column === 5) return 7
    return 2 ** ((column - 4) / 2) * (random.normal() + 2)
  })
  const classOf = Int32Array.from({ length: rows }, (_, row) => row % 3)

  test('is folded into the head: raw features give the outputs that standardised ones gave', async () => {
    const vectors = { values, labels: classOf, width, paths: [] }
    const trainer = await createHeadTrainer({
      dropping: { dropout: 0, dropConnect: 0, paths: new Map() },
      stepVectors: 4,
      engine,
      signal: undefined,
      vectors,
      classes: 3,
      head: { kind: 'linear' },
      classifier: 'classifier',
      loss: { kind: 'ce' },
      seed: 0,
      batchSize: 8,
      microBatch: 8,
      sampler: 'all',
      space: { pca: null, whiten: false },
    })
    await solveHead(trainer, { engine, solver: 'lbfgs', strength: 1, classes: 3, classWeights: undefined, seed: 0 })
    const inner = trainer.store.read('classifier.weight').data
    const innerBias = trainer.store.read('classifier.bias').data
    const folded = trainer.folded()
    const [weight, bias] = [folded.get('classifier.weight')?.data, folded.get('classifier.bias')?.data]
    trainer.close()
    if (!weight || !bias) throw new Error('a linear head has weight and bias')
    const columns = Array.from({ length: width }, (_, column) => values.filter((__, at) => at % width === column))
    const mean = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / rows)
    const deviation = columns.map((column, at) => {
      const variance = column.reduce((sum, value) => sum + (value - (mean[at] ?? 0)) ** 2, 0) / rows
      return variance === 0 ? 1 : Math.sqrt(variance)
    })
    for (let row = 0; row < rows; row++) {
      for (let label = 0; label < 3; label++) {
        let standardised = innerBias[label] ?? Number.NaN
        let raw = bias[label] ?? Number.NaN
        for (let column = 0; column < width; column++) {
          const value = values[row * width + column] ?? Number.NaN
          const at = label * width + column
          standardised += ((value - (mean[column] ?? 0)) / (deviation[column] ?? 1)) * (inner[at] ?? Number.NaN)
          raw += value * (weight[at] ?? Number.NaN)
        }
        expect(Math.abs(raw - standardised)).toBeLessThan(1e-4)
      }
    }
  })

  test('leaves a saved model whose outputs on pictures are its head on the features', async () => {
    const { model } = await loadModel(join(folder, 'linear'))
    const trunk: Model = { ...model, head: { kind: 'none' }, labels: [] }
    const features = await outputsOf(engine, trunk, pictures)
    const outputs = await outputsOf(engine, model, pictures)
    const weight = model.tensors.get('classifier.weight')?.data ?? new Float32Array()
    const bias = model.tensors.get('classifier.bias')?.data ?? new Float32Array()
    for (const [at, output] of outputs.entries()) {
      const [picture, label] = [Math.floor(at / labels.length), at % labels.length]
      let expected = bias[label] ?? Number.NaN
      for (let column = 0; column < 256; column++)
        expected += (features[picture * 256 + column] ?? 0) * (weight[label * 256 + column] ?? Number.NaN)
      expect(Math.abs(output - expected)).toBeLessThan(1e-4)
    }
  })
})

test('weights that are not those the folder was saved with are told', async () => {
  const spoiled = await savedModel(join(folder, 'spoiled'), 'mobilenetv1_025', { labels })
  const file = join(spoiled, 'model.safetensors')
  const bytes = readFileSync(file)
  bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1
  writeFileSync(file, bytes)
  const error = await loadModel(spoiled).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({
    code: 'weights',
    file,
    message: expect.stringMatching(/not as it was saved.*\n.*"digests"/),
  })
})
