// Folders as timm and its hub have them: no regraft.json, older forms, names in a table, a background class.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { goldenPictures } from '../../src/transfer/golden.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { savedModel } from '../stories/random-model.ts'
import { outputsOf } from './outputs-of.ts'

const folder = temporaryFolder()
const source = join(folder, 'source')
const labels = ['ant', 'bee', 'cat', 'dog']
const engine = createEngine({ threads: 1, simd: 'baseline' })
const pictures = goldenPictures(2, 32, 32)
let expected: Float32Array
afterAll(() => engine.close())

beforeAll(async () => {
  await savedModel(source, 'mobilenetv1_025', { labels })
  rmSync(join(source, 'regraft.json'))
  expected = await outputsOf(engine, (await loadModel(source)).model, pictures)
})

// biome-ignore lint/suspicious/noExplicitAny: a JSON document that tests change in every way
type Document = any
let copies = 0

/** A copy whose config.json is another. */
function copyWith(change: (config: Document) => Document): string {
  const copy = join(folder, `copy-${copies++}`)
  cpSync(source, copy, { recursive: true })
  const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'))
  writeFileSync(join(copy, 'config.json'), JSON.stringify(change(config)))
  return copy
}

test('a folder without regraft.json gives labels, preprocessing and outputs', async () => {
  const { model } = await loadModel(source)
  expect(model).toMatchObject({
    labels,
    head: { kind: 'linear' },
    preprocessing: { width: 32, height: 32, cropPct: 1 },
  })
  expect(expected).toHaveLength(2 * 4)
})

test('a weight file is a model too, with the config.json beside it', async () => {
  const { model } = await loadModel(join(source, 'model.safetensors'))
  expect(await outputsOf(engine, model, pictures)).toEqual(expected)
})

test('the legacy form, everything at the root, means the same', async () => {
  const legacy = copyWith(({ pretrained_cfg, architecture, label_names }) => ({
    ...pretrained_cfg,
    architecture,
    labels: label_names,
  }))
  const { model } = await loadModel(legacy)
  const { model: modern } = await loadModel(source)
  expect([model.labels, model.preprocessing]).toEqual([modern.labels, modern.preprocessing])
  expect(await outputsOf(engine, model, pictures)).toEqual(expected)
})

test('label_names may be a table from index to name', async () => {
  const table = copyWith((config) => ({ ...config, label_names: { 0: 'ant', 3: 'dog', 1: 'bee', 2: 'cat' } }))
  expect((await loadModel(table)).model.labels).toEqual(labels)
})

test('a class that the table lacks is called by its number', async () => {
  const table = copyWith((config) => ({ ...config, label_names: { 3: 'dog', 1: 'bee' } }))
  expect((await loadModel(table)).model.labels).toEqual(['0', 'bee', '2', 'dog'])
})

test('without label_names the classes are called by their numbers', async () => {
  const unnamed = copyWith(({ label_names: _, ...config }) => config)
  expect((await loadModel(unnamed)).model.labels).toEqual(['0', '1', '2', '3'])
})

test('what is not in pretrained_cfg is as timm takes it', async () => {
  const bare = copyWith(({ architecture, num_classes }) => ({ architecture, num_classes, pretrained_cfg: {} }))
  expect((await loadModel(bare)).model.preprocessing).toEqual({
    resize: 'exact',
    reading: 'default',
    width: 224,
    height: 224,
    cropPct: 0.875,
    interpolation: 'bilinear',
    cropMode: 'center',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  })
})

test('label_offset cuts the first outputs off', async () => {
  const offset = copyWith((config) => ({
    ...config,
    num_classes: 3,
    label_names: labels.slice(1),
    pretrained_cfg: { ...config.pretrained_cfg, num_classes: 3, label_offset: 1 },
  }))
  const { model } = await loadModel(offset)
  expect(model.labels).toEqual(['bee', 'cat', 'dog'])
  const outputs = await outputsOf(engine, model, pictures)
  expect(outputs).toEqual(expected.filter((_, at) => at % 4 !== 0))
})

describe('refused are', () => {
  const cases: readonly [string, (config: Document) => Document, RegExp][] = [
    [
      'an architecture that nobody knows',
      (config) => ({ ...config, architecture: '../evil' }),
      /config\.json: .*'\.\.\/evil' is not known/,
    ],
    ['no architecture', ({ architecture: _, ...config }) => config, /'architecture' is missing/],
    ['names that are too few', (config) => ({ ...config, label_names: ['ant'] }), /has 1 names for 4 classes/],
    [
      'a table that counts from one',
      (config) => ({ ...config, label_names: { 1: 'a', 2: 'b', 3: 'c', 4: 'd' } }),
      /has the key '4', which is no class from 0 to 3/,
    ],
    [
      'a table by names',
      (config) => ({ ...config, label_names: { ant: 0, bee: 1 } }),
      /has the key 'ant', which is no/,
    ],
    ['a name that is no text', (config) => ({ ...config, label_names: ['a', 'b', 3, 'd'] }), /has no text for class 2/],
    [
      'pixels from 0 to 255',
      (config) => ({ ...config, pretrained_cfg: { mean: [123.7, 116.3, 103.5], std: [58.4, 57.1, 57.4] } }),
      /units of 0 to 255: divide them by 255/,
    ],
    ['a negative number of classes', (config) => ({ ...config, num_classes: -1 }), /'num_classes' must be a whole/],
    [
      'arguments that are not known',
      (config) => ({ ...config, model_args: { drop_rate: 1 } }),
      /config\.json: .*model_args drop_rate/,
    ],
    ['grey pictures', (config) => ({ ...config, pretrained_cfg: { input_size: [1, 32, 32] } }), /must have 3 channels/],
    ['an odd interpolation', (config) => ({ ...config, pretrained_cfg: { interpolation: 'best' } }), /one of bilinear/],
    [
      'a mean of one number',
      (config) => ({ ...config, pretrained_cfg: { mean: 0.5 } }),
      /'mean' must be three numbers/,
    ],
    ['half an offset', (config) => ({ ...config, pretrained_cfg: { label_offset: 0.5 } }), /'label_offset' must be/],
    ['a pretrained_cfg that is a text', (config) => ({ ...config, pretrained_cfg: 'x' }), /'pretrained_cfg' is not an/],
  ]
  test.each(cases)('%s', async (_, change, message) => {
    const copy = copyWith(change)
    await expect(loadModel(copy)).rejects.toMatchObject({ code: 'weights', message: expect.stringMatching(message) })
  })
})
