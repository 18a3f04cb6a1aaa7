// A model that comes as a graph: an ONNX file taken for a model, saved, opened again, and trained.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { freshModel, loadModel } from '../../src/model/load.ts'
import { saveModel } from '../../src/model/save.ts'
import { exportModel } from '../../src/transfer/export.ts'
import { goldenPictures } from '../../src/transfer/golden.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { onnxFile, type TestNode } from '../formats/write-onnx.ts'
import { regraft } from '../stories/command-line.ts'
import { drawFolder } from '../stories/drawn-pictures.ts'
import { noise } from '../support/values.ts'
import { outputsOf } from './outputs-of.ts'

const folder = temporaryFolder()
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const node = (op: string, inputs: string, output: string, attributes: TestNode['attributes'] = {}): TestNode => ({
  op,
  inputs: inputs.split(' '),
  outputs: [output],
  attributes,
})
const floats = (shape: readonly number[], seed: number) => ({
  shape,
  data: noise(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
})

/** A small network: two blocks, one of them with a residual. */
function writeModel(name: string, size: number | string = 32): string {
  const file = join(folder, name)
  const model = onnxFile({
    input: ['N', 3, size, size],
    nodes: [
      node('Conv', 'x stem.weight', 'a', { strides: [2, 2], pads: [1, 1, 1, 1] }),
      node('Relu', 'a', 'b'),
      node('Conv', 'b one.weight', 'c', { pads: [1, 1, 1, 1] }),
      node('Add', 'c b', 'd'),
      node('Relu', 'd', 'e'),
      node('Conv', 'e two.weight', 'f', { strides: [2, 2], pads: [1, 1, 1, 1] }),
      node('GlobalAveragePool', 'f', 'g'),
      node('Flatten', 'g', 'h'),
      node('Gemm', 'h fc.weight fc.bias', 'y', { transB: 1 }),
    ],
    initialisers: {
      'stem.weight': floats([8, 3, 3, 3], 1),
      'one.weight': floats([8, 8, 3, 3], 2),
      'two.weight': floats([12, 8, 3, 3], 3),
      'fc.weight': floats([4, 12], 4),
      'fc.bias': floats([4], 5),
    },
  })
  writeFileSync(file, model)
  return file
}

describe('an ONNX file as a model', () => {
  test('has its own picture size and classes, and what is assumed is said', async () => {
    const { model, remarks } = await loadModel(writeModel('plain.onnx'))
    expect(model).toMatchObject({
      architecture: 'regraft-graph',
      labels: ['0', '1', '2', '3'],
      head: { kind: 'linear' },
      preprocessing: { width: 32, height: 32, cropPct: 0.875 },
    })
    expect(remarks.join()).toContain('it does not say how its pictures are made. Assumed: mean and std of ImageNet')
    expect(model.graph?.layers.map(({ block }) => block)).toContain('blocks.2')
  })

  test('is the same, bit for bit, after saving and loading', async () => {
    const { model } = await loadModel(writeModel('saved.onnx'))
    const saved = join(folder, 'saved')
    await saveModel(model, saved)
    const again = await loadModel(saved)
    const pictures = goldenPictures(3, 32, 32)
    expect(await outputsOf(engine, again.model, pictures)).toEqual(await outputsOf(engine, model, pictures))
    expect(again.remarks).toEqual([])
    await saveModel(again.model, join(folder, 'again'))
    for (const name of ['config.json', 'regraft.json', 'model.safetensors'])
      expect(readFileSync(join(folder, 'again', name)), name).toEqual(readFileSync(join(saved, name)))
  })

  test('takes other sizes of pictures, and says which it cannot take', async () => {
    const file = writeModel('sizes.onnx', 'side')
    expect((await loadModel(file)).model.preprocessing.width).toBe(224)
    const { model } = await loadModel(file, { imgSize: 48 })
    expect((await outputsOf(engine, model, goldenPictures(1, 48, 48))).length).toBe(4)
  })

  test('takes statistics and labels from a config.json of timm, and leaves others', async () => {
    mkdirSync(join(folder, 'described'))
    const file = writeModel('described/model.onnx')
    const config = join(folder, 'described/config.json')
    writeFileSync(config, '{"model_type":"resnet"}')
    expect((await loadModel(file)).remarks.join()).toContain('left out, since it is not one of timm')
    writeFileSync(
      config,
      JSON.stringify({ architecture: 'own', num_classes: 4, label_names: ['a', 'b', 'c', 'd'], mean: [0.5, 0.5, 0.5] }),
    )
    const { model } = await loadModel(file)
    expect(model.labels).toEqual(['a', 'b', 'c', 'd'])
    expect(model.preprocessing.mean).toEqual([0.5, 0.5, 0.5])
  })

  test('may start from random weights', async () => {
    const model = await freshModel(writeModel('fresh.onnx'), 1)
    expect([...model.tensors.keys()]).toEqual(['stem.weight', 'one.weight', 'two.weight'])
  })

  test('is trained, and predicts', async () => {
    const file = writeModel('trained.onnx')
    const data = join(folder, 'things')
    await drawFolder(data, 6)
    const run = join(folder, 'run')
    const args = ['--epochs', '2', '--batch-size', '4', '--img-size', '32', '--unfreeze', 'last:1']
    const ran = await regraft(['train', data, '--model', file, '--mode', 'finetune', '--out', run, ...args])
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(ran.stderr).toContain('does not say how its pictures are made')
    const { model } = await loadModel(run)
    expect(model.labels).toEqual(['bars', 'disc', 'stairs'])
    expect([...model.tensors.keys()]).toContain('fc.weight')
  })

  test('is trained, saved, loaded, and goes to ONNX and TensorFlow.js again', async () => {
    const data = join(folder, 'other-things')
    await drawFolder(data, 3)
    const run = join(folder, 'run-to-export')
    const args = ['--epochs', '1', '--img-size', '32', '--unfreeze', 'all']
    const file = writeModel('to-export.onnx')
    const ran = await regraft(['train', data, '--model', file, '--mode', 'finetune', '--out', run, ...args])
    expect(ran.exitCode, ran.stderr).toBe(0)
    const { model } = await loadModel(run)
    const pictures = goldenPictures(3, 32, 32)
    const expected = await outputsOf(engine, model, pictures)
    for (const [format, main] of [
      ['onnx', 'model.onnx'],
      ['tfjs', 'model.json'],
    ] as const) {
      const out = join(folder, `exported-${format}`)
      expect((await exportModel(run, { engine, format, out })).difference).toBeLessThanOrEqual(1e-5)
      const { model: read } = await loadModel(join(out, main))
      expect(read.labels).toEqual(['bars', 'disc', 'stairs'])
      const found = await outputsOf(engine, read, pictures)
      for (const [at, value] of expected.entries())
        expect(Math.abs((found[at] ?? Number.NaN) - value)).toBeLessThan(1e-5)
    }
  })

  test('whose saved graph was damaged is refused by the field', async () => {
    const { model } = await loadModel(writeModel('damaged.onnx'))
    const saved = join(folder, 'damaged')
    await saveModel(model, saved)
    const document = JSON.parse(readFileSync(join(saved, 'regraft.json'), 'utf8'))
    const damaged = async (change: (graph: typeof document) => void) => {
      const copy = structuredClone(document)
      change(copy.graph)
      writeFileSync(join(saved, 'regraft.json'), JSON.stringify(copy))
      await loadModel(saved)
    }
    await expect(damaged((graph) => (graph.layers[1].op = 'constructor'))).rejects.toThrow(
      /unknown operator 'constructor'/,
    )
    await expect(damaged((graph) => (graph.layers[1].inputs = ['later']))).rejects.toThrow(
      /'later', which does not come/,
    )
    await expect(damaged((graph) => (graph.layers[1].attrs.stride = [0, 1]))).rejects.toThrow(/no valid 'stride'/)
    await expect(damaged((graph) => (graph.layers[1].attrs.extra = 1))).rejects.toThrow(/unknown attribute 'extra'/)
    await expect(damaged((graph) => (graph.output = 'nowhere'))).rejects.toThrow(/'nowhere' is no layer/)
  })
})

const oracle = join(import.meta.dirname, '../../../shared/oracle')

test.skipIf(!existsSync(oracle))('an exported network gives what its PyTorch weights give', async () => {
  const [onnx, pytorch] = await Promise.all(
    ['onnx/mobilenet_v2_0.35.onnx', 'models/mobilenet_v2_0.35.pth'].map((name) =>
      loadModel(join(oracle, name), { imgSize: 64 }),
    ),
  )
  if (!onnx || !pytorch) throw new Error('both were loaded')
  const pictures = goldenPictures(2, 64, 64)
  const [found, expected] = [
    await outputsOf(engine, onnx.model, pictures),
    await outputsOf(engine, pytorch.model, pictures),
  ]
  const largest = Math.max(...expected.map(Math.abs))
  for (const [at, value] of expected.entries())
    expect(Math.abs((found[at] ?? Number.NaN) - value)).toBeLessThan(1e-4 * largest)
})
