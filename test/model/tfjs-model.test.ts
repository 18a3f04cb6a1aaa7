// Models of TensorFlow.js: layers models, exports of Teachable Machine, and the weight manifests of the first year.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/formats/index.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { saveModel } from '../../src/model/save.ts'
import { goldenPictures } from '../../src/transfer/golden.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { regraft } from '../stories/command-line.ts'
import { noise } from '../support/values.ts'
import { outputsOf } from './outputs-of.ts'

const folder = temporaryFolder()
const shared = join(import.meta.dirname, '../../../shared/weights')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

interface TestWeight {
  readonly name: string
  readonly shape: readonly number[]
}

/** A folder with model.json and one shard. */
function writeModel(name: string, layers: readonly object[], weights: readonly TestWeight[], seed = 1): string {
  const at = join(folder, name)
  mkdirSync(at)
  const counts = weights.map(({ shape }) => shape.reduce((a, b) => a * b, 1))
  const values = noise(
    counts.reduce((a, b) => a + b, 0),
    seed,
  )
  writeFileSync(join(at, 'weights.bin'), new Uint8Array(values.map((value) => Math.abs(value) + 0.1).buffer))
  const model = {
    modelTopology: { class_name: 'Sequential', config: { name: 'net', layers } },
    weightsManifest: [{ paths: ['weights.bin'], weights: weights.map((weight) => ({ ...weight, dtype: 'float32' })) }],
  }
  writeFileSync(join(at, 'model.json'), JSON.stringify(model))
  return at
}

const layer = (kind: string, name: string, config: object = {}) => ({ class_name: kind, config: { name, ...config } })
const conv = { filters: 4, kernel_size: [3, 3], strides: [2, 2], padding: 'valid', use_bias: false, activation: 'relu' }
const input = { batch_input_shape: [null, 16, 16, 3] }

describe('a layers model', () => {
  const layers = [
    layer('Rescaling', 'rescaling', { ...input, scale: 1 / 127.5, offset: -1 }),
    layer('ZeroPadding2D', 'pad', {
      padding: [
        [0, 1],
        [0, 1],
      ],
    }),
    layer('Conv2D', 'c', conv),
    layer('DepthwiseConv2D', 'd', { kernel_size: [3, 3], padding: 'same', use_bias: true }),
    layer('BatchNormalization', 'n', { axis: -1, epsilon: 0.001, momentum: 0.99 }),
    layer('ReLU', 'r', { max_value: 6 }),
    layer('MaxPooling2D', 'm', { pool_size: [2, 2] }),
    layer('Flatten', 'f'),
    layer('Dense', 'dense', { units: 5, activation: 'softmax' }),
  ]
  const weights = [
    { name: 'c/kernel', shape: [3, 3, 3, 4] },
    { name: 'd/depthwise_kernel', shape: [3, 3, 4, 1] },
    { name: 'd/bias', shape: [4] },
    { name: 'n/gamma', shape: [4] },
    { name: 'n/beta', shape: [4] },
    { name: 'n/moving_mean', shape: [4] },
    { name: 'n/moving_variance', shape: [4] },
    { name: 'dense/kernel', shape: [64, 5] },
    { name: 'dense/bias', shape: [5] },
  ]

  test('is computed as Keras defines it', async () => {
    const at = writeModel('keras', layers, weights)
    const { model, remarks } = await loadModel(at)
    expect(model.preprocessing).toMatchObject({ width: 16, height: 16, cropPct: 1 })
    for (const statistic of [...model.preprocessing.mean, ...model.preprocessing.std])
      expect(statistic).toBeCloseTo(0.5, 6)
    expect(remarks.join()).toContain('its last layer is not a linear one')
    const pictures = goldenPictures(2, 16, 16)
    const found = await outputsOf(engine, model, pictures)
    const stored = await openCheckpoint(join(at, 'model.json'))
    const w = async (name: string) => (await stored.read(name)).data
    const [c, d, bias, gamma, beta, mean, variance, dense, denseBias] = await Promise.all(
      weights.map(({ name }) => w(name)),
    )
    const at4 = (values: Float32Array | undefined, index: number) => values?.[index] ?? Number.NaN
    for (let image = 0; image < 2; image++) {
      const pixel = (h: number, v: number, k: number) =>
        h < 16 && v < 16 ? (pictures[((image * 16 + h) * 16 + v) * 3 + k] ?? 0) / 127.5 - 1 : 0
      const first = (h: number, v: number, o: number) => {
        let sum = 0
        for (let a = 0; a < 3; a++)
          for (let b = 0; b < 3; b++)
            for (let k = 0; k < 3; k++) sum += pixel(2 * h + a, 2 * v + b, k) * at4(c, ((a * 3 + b) * 3 + k) * 4 + o)
        return Math.max(0, sum)
      }
      const second = (h: number, v: number, o: number) => {
        let sum = at4(bias, o)
        for (let a = 0; a < 3; a++)
          for (let b = 0; b < 3; b++) {
            const [y, x] = [h + a - 1, v + b - 1]
            if (y >= 0 && x >= 0 && y < 8 && x < 8) sum += first(y, x, o) * at4(d, (a * 3 + b) * 4 + o)
          }
        const normal = ((sum - at4(mean, o)) / Math.sqrt(at4(variance, o) + 0.001)) * at4(gamma, o) + at4(beta, o)
        return Math.min(6, Math.max(0, normal))
      }
      const third = (h: number, v: number, o: number) =>
        Math.max(...[0, 1].flatMap((a) => [0, 1].map((b) => second(2 * h + a, 2 * v + b, o))))
      for (let unit = 0; unit < 5; unit++) {
        let sum = at4(denseBias, unit)
        for (let h = 0; h < 4; h++)
          for (let v = 0; v < 4; v++)
            for (let o = 0; o < 4; o++) sum += third(h, v, o) * at4(dense, ((h * 4 + v) * 4 + o) * 5 + unit)
        expect(Math.abs((found[image * 5 + unit] ?? Number.NaN) / sum - 1)).toBeLessThan(1e-5)
      }
    }
  })

  test('lists every class of layers that has no counterpart', async () => {
    const at = writeModel(
      'odd',
      [layer('Conv2D', 'c', { ...conv, ...input }), layer('LSTM', 'l'), layer('Lambda', 'x')],
      [],
    )
    await expect(loadModel(at)).rejects.toThrow('layers that are not supported: LSTM, Lambda.')
  })

  test('is refused where a hard sigmoid, or zeros, are not completed', async () => {
    const sixth = (name: string) => layer('Rescaling', name, { scale: 1 / 6, offset: 0.5 })
    const first = layer('Conv2D', 'c', { ...conv, ...input })
    const kernel = [{ name: 'c/kernel', shape: [3, 3, 3, 4] }]
    const of = (name: string, ...layers: readonly object[]) => loadModel(writeModel(name, [first, ...layers], kernel))
    await expect(of('twice', sixth('s'), sixth('t'), layer('ReLU', 'r', { max_value: 1 }))).rejects.toThrow(
      'not supported: Rescaling after other layers.',
    )
    await expect(of('other', sixth('s'), layer('Activation', 'a', { activation: 'tanh' }))).rejects.toThrow(
      'not supported: Rescaling after other layers.',
    )
    await expect(of('open', sixth('s'))).rejects.toThrow('ends with a layer that only prepares another')
    await expect(of('one', layer('ReLU', 'r', { max_value: 1 }))).rejects.toThrow('not supported: ReLU up to 1.')
    await expect(of('zeros', layer('ZeroPadding2D', 'z'), sixth('s'))).rejects.toThrow('Rescaling after other layers')
  })

  test('is refused where a layer normalises along another axis than the channels', async () => {
    const first = layer('Conv2D', 'c', { ...conv, ...input })
    for (const kind of ['BatchNormalization', 'LayerNormalization']) {
      for (const [name, axis] of Object.entries({ rows: 1, all: [1, 2, 3], none: [] })) {
        const at = writeModel(
          `${kind}-${name}`,
          [first, layer(kind, 'n', { axis })],
          [{ name: 'c/kernel', shape: [3, 3, 3, 4] }],
        )
        await expect(loadModel(at)).rejects.toThrow(`not supported: ${kind} over another axis than the channels`)
      }
    }
  })

  test('is refused where weights are missing or of another shape', async () => {
    const first = [layer('Conv2D', 'c', { ...conv, ...input })]
    await expect(loadModel(writeModel('missing', first, []))).rejects.toThrow("its weight 'kernel' is missing")
    const wrong = writeModel('wrong', first, [{ name: 'c/kernel', shape: [3, 3, 4, 3] }])
    await expect(loadModel(wrong)).rejects.toThrow(
      /'c\/kernel' has the shape \[3, 3, 4, 3\], its layer needs \[3, 3, 3, 4\]/,
    )
    await expect(openCheckpoint(join(wrong, 'model.json'))).rejects.toThrow('mismatch')
  })
})

const machine = join(shared, 'mobilenet_v2_0.35_224_tm')

describe.skipIf(!existsSync(machine))('an export of Teachable Machine', () => {
  test('predicts its own labels from features that are those of the same network in timm', async () => {
    const { model, remarks } = await loadModel(join(machine, 'original'))
    expect(model.labels).toEqual(['바위', '보', '가위'])
    expect(model.preprocessing).toMatchObject({ width: 224, cropPct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] })
    expect(remarks).toEqual([])
    const pictures = goldenPictures(1, 224, 224)
    const found = await outputsOf(engine, model, pictures, 'global_average_pooling2d_GlobalAveragePooling2D6')
    const timm = await loadModel(machine)
    const expected = await outputsOf(engine, timm.model, pictures)
    expect(found.length).toBe(1280)
    for (const [at, value] of expected.entries()) expect(found[at]).toBeCloseTo(value, 4)
    const ran = await regraft([
      'predict',
      join(machine, 'original/model.json'),
      join(machine, 'pixels/owl_224.png'),
      '--json',
    ])
    expect(ran.exitCode, ran.stderr).toBe(0)
    expect(model.labels).toContain(JSON.parse(ran.stdout).label)
  })

  test('is saved and opened again', async () => {
    const { model } = await loadModel(join(machine, 'original'))
    await saveModel(model, join(folder, 'machine'))
    const again = await loadModel(join(folder, 'machine'))
    const pictures = goldenPictures(1, 224, 224)
    expect(await outputsOf(engine, again.model, pictures)).toEqual(await outputsOf(engine, model, pictures))
  })
})

const manifest = join(shared, 'mobilenet_v1_0.25_128')

test.skipIf(!existsSync(manifest))('a manifest of MobileNetV1 is the same network as in timm', async () => {
  const { model, remarks } = await loadModel(join(manifest, 'original'), { imgSize: 128 })
  const timm = await loadModel(manifest)
  expect(remarks.join()).toContain('it is mobilenetv1_025 with 1001 classes')
  const { labels: _, origin: __, ...found } = model
  const { labels: ___, origin: ____, ...expected } = timm.model
  expect({ ...found, tensors: sums(found.tensors), counters: 0 }).toEqual({
    ...expected,
    tensors: sums(expected.tensors),
    counters: 0,
  })
})

/** Names and sums of the tensors, in the order of the names. */
function sums(tensors: ReadonlyMap<string, { readonly data: Float32Array }>): (readonly [string, number])[] {
  return [...tensors].map(([name, { data }]) => [name, data.reduce((sum, value) => sum + value, 0)] as const).sort()
}
