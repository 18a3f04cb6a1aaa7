// How pixels become numbers: statistics of the training pictures alone, kept with the model, the same for whoever uses it.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeImage } from '../../src/data/decode.ts'
import { openSafetensors } from '../../src/formats/safetensors.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { outputsOf } from '../../src/transfer/golden.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'
import { digestOf, resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

beforeAll(async () => {
  await drawFolder(data, 7)
  await savedModel(trunk, 'mobilenetv1_025')
})

const quick = ['--simd', 'baseline', '--no-checks']
const fineTune = [
  '--mode',
  'finetune',
  '--unfreeze',
  'last:1',
  '--epochs',
  '2',
  '--batch-size',
  '5',
  '--augment',
  'none',
]

function train(name: string, ...words: readonly string[]) {
  return regraft(['train', data, '--model', trunk, ...quick, '--out', join(folder, name), ...words])
}

async function trained(name: string, ...words: readonly string[]): Promise<string> {
  const { exitCode, stderr } = await train(name, ...words)
  expect(exitCode, stderr).toBe(0)
  return join(folder, name)
}

/** RGB bytes of the pictures that a run trained on, as its network sees them. */
async function trainingBytes(run: string): Promise<readonly Uint8Array[]> {
  const { model } = await loadModel(run)
  const rows = readFileSync(join(run, 'split.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((row) => JSON.parse(row))
  const files: string[] = rows.filter(({ split }) => split === 'train').map(({ path }) => join(data, path))
  expect(files.length).toBeGreaterThan(10)
  expect(files.length).toBeLessThan(21)
  return await Promise.all(files.map(async (file) => await decodeImage(readFileSync(file), model.preprocessing)))
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

test('channel means and deviations are those of the training pictures, and stand where timm reads them', async () => {
  const run = await trained('channels', '--normalize', 'channel-mean-std', '--mode', 'features')
  const pictures = await trainingBytes(run)
  const { pretrained_cfg: timm } = JSON.parse(readFileSync(join(run, 'best', 'config.json'), 'utf8'))
  const { preprocessing } = JSON.parse(readFileSync(join(run, 'best', 'regraft.json'), 'utf8'))
  for (const channel of [0, 1, 2]) {
    const values = pictures.flatMap((bytes) => [...bytes].filter((_, at) => at % 3 === channel).map((v) => v / 255))
    const mean = meanOf(values)
    const std = Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)))
    for (const saved of [timm, preprocessing]) {
      expect(saved.mean[channel]).toBeCloseTo(mean, 9)
      expect(saved.std[channel]).toBeCloseTo(std, 9)
    }
  }
  const less = await trained('channel mean', '--normalize', 'channel-mean', '--mode', 'features')
  const { model } = await loadModel(less)
  expect(model.preprocessing).toMatchObject({ mean: preprocessing.mean, std: [1, 1, 1] })
  const { model: plain } = await loadModel(await trained('none', '--normalize', 'none', '--mode', 'features'))
  expect(plain.preprocessing).toMatchObject({ mean: [0, 0, 0], std: [1, 1, 1] })
})

describe('the mean image', () => {
  let run: string
  beforeAll(async () => {
    run = await trained('mean image', '--normalize', 'mean-image', '--head', 'mlp:5', '--epochs', '2')
  })

  test('is that of the training pictures, in a file of its own', async () => {
    const pictures = await trainingBytes(run)
    const best = join(run, 'best')
    const image = await openSafetensors(join(best, 'mean-image.safetensors'))
    expect(image.names()).toEqual(['mean_image.mean'])
    const { shape, data: values } = await image.read('mean_image.mean')
    expect(shape).toEqual([3, 32, 32])
    for (const [channel, row, column] of [
      [0, 0, 0],
      [1, 5, 31],
      [2, 31, 7],
    ] as const) {
      const expected = meanOf(pictures.map((bytes) => (bytes[(row * 32 + column) * 3 + channel] ?? 0) / 255))
      expect(values[(channel * 32 + row) * 32 + column]).toBeCloseTo(expected, 6)
    }
    // The trunk stays one that timm opens strictly.
    expect((await openSafetensors(join(best, 'model.safetensors'))).names()).not.toContain('mean_image.mean')
  })

  test('is taken away by predict, embed and eval as in training', async () => {
    const { model } = await loadModel(run)
    const golden = await openSafetensors(join(run, 'best', 'golden.safetensors'))
    const { data: pictures } = await golden.read('pictures')
    const outputs = await outputsOf(engine, model, Uint8Array.from(pictures), 2, undefined)
    expect([...outputs]).toEqual([...(await golden.read('outputs')).data])
    const inspected = await regraft(['inspect', run])
    expect(inspected.exitCode, inspected.stderr).toBe(0)
    expect(inspected.stdout + inspected.stderr).not.toContain('missing')
    const evaluated = await regraft(['eval', run, data, '--json', '--quiet', '--simd', 'baseline'])
    expect(evaluated.exitCode, evaluated.stderr).toBe(0)
    const vectors = join(folder, 'vectors')
    const embedded = await regraft(['embed', data, '--model', run, '--out', vectors, '--simd', 'baseline'])
    expect(embedded.exitCode, embedded.stderr).toBe(0)
    const { preprocessing } = JSON.parse(readFileSync(join(vectors, 'meta.json'), 'utf8'))
    expect(preprocessing.meanImage).toBe(model.preprocessing.meanImage)
  })

  test('is kept when training goes on from the run, and goes when asked', async () => {
    const again = ['train', data, '--model', run, ...quick, '--mode', 'features']
    const kept = await regraft([...again, '--out', join(folder, 'kept')])
    expect(kept.exitCode, kept.stderr).toBe(0)
    const files = ['mean image', 'kept'].map((name) => digestOf(join(folder, name, 'best', 'mean-image.safetensors')))
    expect(files[1]).toBe(files[0])
    const gone = await regraft([...again, '--normalize', 'none', '--img-size', '40', '--out', join(folder, 'gone')])
    expect(gone.exitCode, gone.stderr).toBe(0)
    const { model } = await loadModel(join(folder, 'gone'))
    expect(model.preprocessing.meanImage).toBeUndefined()
    expect([...model.tensors.keys()].filter((name) => name.includes('mean_image'))).toEqual([])
  })

  test('holds pictures to their size, and must be there', async () => {
    const larger = await regraft(['predict', run, data, '--img-size', '64'])
    expect(larger.exitCode).toBe(2)
    expect(larger.stderr).toMatch(/--img-size 64: this model takes a mean image of 32x32 pixels away/)
    const copy = await trained('without', '--normalize', 'mean-image', '--mode', 'features')
    rmSync(join(copy, 'best', 'mean-image.safetensors'))
    const missing = await regraft(['predict', copy, data])
    expect(missing.exitCode).toBe(4)
    expect(missing.stderr).toMatch(/no mean-image\.safetensors in .*the mean of its training pictures/)
  })

  test('is a node of the exported ONNX model', async () => {
    const out = join(folder, 'onnx')
    const exported = await regraft(['export', run, '--format', 'onnx', '--out', out, '--simd', 'baseline'])
    expect(exported.exitCode, exported.stderr).toBe(0)
    expect(readFileSync(join(out, 'model.onnx')).includes('mean_image.mean')).toBe(true)
    const copied = await regraft([
      'export',
      run,
      '--format',
      'safetensors',
      '--out',
      join(folder, 'copy'),
      '--simd',
      'baseline',
    ])
    expect(copied.exitCode, copied.stderr).toBe(0)
  })
})

test.each(['channel-mean-std', 'mean-image'])(
  'with %s a cache in a folder changes no byte, and is not mixed up',
  async (way) => {
    const cache = join(folder, `cache ${way}`)
    const first = resultOf(await trained(`${way} plain`, ...fineTune, '--normalize', way, '--cache', 'off'))
    await trained(`${way} filled by another`, ...fineTune, '--normalize', 'none', '--cache', cache)
    for (const threads of ['1', '3']) {
      const name = `${way} cached ${threads}`
      const run = await trained(name, ...fineTune, '--normalize', way, '--cache', cache, '--threads', threads)
      expect(resultOf(run)).toEqual(first)
    }
  },
)

test('a run that was stopped goes on with the same mean image to the same end', async () => {
  const words = ['--normalize', 'mean-image', '--epochs', '3', '--patience', '0']
  const whole = resultOf(await trained('whole', ...words))
  const out = join(folder, 'stopped')
  let ran = await train('stopped', ...words, '--time', '0.001s')
  for (let stops = 0; ran.exitCode === 75 && stops < 20; stops++)
    ran = await regraft(['train', '--resume', out, '--time', '0.001s', '--simd', 'baseline'])
  expect(ran.exitCode, ran.stderr).toBe(0)
  expect(resultOf(out)).toEqual(whole)
})

test('an unknown way is refused with the nearest one', async () => {
  const { exitCode, stderr } = await train('never', '--normalize', 'chanel-mean')
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/--normalize: 'chanel-mean' is not known.*Did you mean 'channel-mean'/)
})
