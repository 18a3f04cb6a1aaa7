// Models for elsewhere: what is written gives the model's outputs when it is read.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { importOnnx } from '../../src/formats/onnx-network.ts'
import { onnxModel } from '../../src/formats/write-onnx.ts'
import { tfjsModel } from '../../src/formats/write-tfjs.ts'
import { graphBuilder } from '../../src/graph/builder.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import type { Head } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import type { ActivationAttributes } from '../../src/ops/activation.ts'
import { referenceOf } from '../../src/reference/interpreter.ts'
import { exportModel } from '../../src/transfer/export.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { onnxInput, runOnnx } from '../formats/run-onnx.ts'
import { regraft } from '../stories/command-line.ts'
import { randomModel } from '../stories/random-model.ts'
import { randomParameters } from '../support/fill-parameters.ts'
import { noise } from '../support/values.ts'

const folder = temporaryFolder()
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

const labels = ['cat', 'dog', 'ünïcödé']

describe.each([
  ['mobilenetv1_025', { kind: 'linear' }],
  ['mobilenetv2_035', { kind: 'mlp', width: 16, depth: 2 }],
  ['resnet18', { kind: 'linear' }],
  ['mobilenetv2_035', { kind: 'none' }],
  ['mobilenetv3_small_100', { kind: 'linear' }],
  ['regnety_002', { kind: 'linear' }],
  ['squeezenet1_1', { kind: 'own' }],
  ['squeezenet1_1', { kind: 'linear' }],
] as const satisfies readonly (readonly [string, Head])[])('%s with a head %j', (architecture, head) => {
  const name = `${architecture}-${head.kind}`
  const source = join(folder, name)

  test('goes to ONNX, comes back, and goes there again', async () => {
    await saveModel(await randomModel(architecture, { head, labels: head.kind === 'none' ? [] : labels }), source)
    const out = join(folder, `${name}-onnx`)
    const result = await exportModel(source, { engine, format: 'onnx', out })
    expect(result.difference).toBeLessThanOrEqual(1e-5)
    expect([...result.files].sort()).toEqual(['config.json', 'golden.safetensors', 'model.onnx'])
    if (head.kind !== 'none') {
      const config: unknown = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))
      expect(config).toMatchObject({ label_names: labels })
    }
    const again = await exportModel(join(out, 'model.onnx'), { engine, format: 'onnx', out: join(folder, `${name}-2`) })
    expect(again.difference).toBeLessThanOrEqual(1e-5)
  })

  test('goes to a layers model of TensorFlow.js, comes back, and goes there again', async () => {
    const out = join(folder, `${name}-tfjs`)
    const result = await exportModel(source, { engine, format: 'tfjs', out })
    expect(result.difference).toBeLessThanOrEqual(1e-5)
    expect([...result.files].sort()).toEqual(['config.json', 'golden.safetensors', 'model.json', 'weights.bin'])
    const model = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8'))
    expect(model).toMatchObject({
      format: 'layers-model',
      userDefinedMetadata: { labels: head.kind === 'none' ? [] : labels },
    })
    const again = await exportModel(join(out, 'model.json'), {
      engine,
      format: 'tfjs',
      out: join(folder, `${name}-tfjs-2`),
    })
    expect(again.difference).toBeLessThanOrEqual(1e-5)
    expect(
      readFileSync(join(folder, `${name}-tfjs-2`, 'weights.bin')).equals(readFileSync(join(out, 'weights.bin'))),
    ).toBe(true)
  })

  test('goes to a folder of safetensors, in half the bytes too', async () => {
    for (const [dtype, within] of [
      ['float32', 0],
      ['float16', 0.05],
    ] as const) {
      const out = join(folder, `${name}-${dtype}`)
      const { difference } = await exportModel(source, { engine, format: 'safetensors', out, dtype })
      expect(difference).toBeLessThanOrEqual(within)
      if (dtype === 'float16') expect(difference).toBeGreaterThan(0)
    }
  })
})

const activations: readonly ActivationAttributes[] = [
  { kind: 'relu' },
  { kind: 'relu6' },
  { kind: 'leaky-relu', slope: 0.2 },
  { kind: 'elu', alpha: 0.5 },
  { kind: 'selu' },
  { kind: 'sigmoid' },
  { kind: 'tanh' },
  { kind: 'softsign' },
  { kind: 'softplus' },
  { kind: 'hard-sigmoid' },
  { kind: 'hard-swish' },
  { kind: 'silu' },
]

describe('a layers model of TensorFlow.js', () => {
  const input = { height: 8, width: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const
  const common = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], bias: false } as const

  test('has no layers that tfjs-layers lacks: all of them are named', () => {
    const net = graphBuilder()
    net.at('stem')
    let at = net.layer('imageInput', 'picture', input, [])
    at = net.layer('conv2d', 'first', { ...common, outChannels: 4 }, [at])
    at = net.layer('activation', 'bent', { kind: 'hard-swish' }, [at])
    at = net.layer('conv2d', 'grouped', { ...common, outChannels: 4, groups: 2 }, [at])
    at = net.layer('maxPool', 'pool', { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] }, [at])
    at = net.layer('activation', 'leaking', { kind: 'leaky-relu' }, [at])
    const graph = net.finish({ output: at, features: at })
    const write = () => tfjsModel(graph, randomParameters(graph, 1), { producerVersion: '0', metadata: {} })
    expect(write).toThrow(
      /nothing for bent \(hard-swish\), grouped \(conv2d in groups\), pool \(maxPool\), leaking \(leaky-relu\)\.\nUse --format onnx/,
    )
  })

  test('has kernels in the order of TensorFlow', () => {
    const net = graphBuilder()
    net.at('stem')
    const picture = net.layer('imageInput', 'picture', input, [])
    const first = net.layer('conv2d', 'first', { ...common, outChannels: 4 }, [picture])
    const graph = net.finish({ output: first, features: first })
    const data = Float32Array.from({ length: 4 * 3 * 9 }, (_, index) => index)
    const tensors = new Map([['first.weight', { shape: [4, 3, 3, 3], data }]])
    const { json, bytes, pieces } = tfjsModel(graph, tensors, { producerVersion: '0', metadata: {} })
    expect(json).toMatchObject({
      weightsManifest: [
        { paths: ['weights.bin'], weights: [{ name: 'first/kernel', shape: [3, 3, 3, 4], dtype: 'float32' }] },
      ],
      modelTopology: {
        model_config: {
          config: {
            layers: [
              { class_name: 'InputLayer' },
              {
                class_name: 'ZeroPadding2D',
                config: {
                  padding: [
                    [1, 1],
                    [1, 1],
                  ],
                },
              },
              { class_name: 'Conv2D', inbound_nodes: [[['first.padding', 0, 0, {}]]] },
            ],
          },
        },
      },
    })
    const written = new Float32Array(Buffer.concat([...pieces()]).buffer.slice(0))
    expect(bytes).toBe(4 * written.length)
    // Row 1, column 2, input 0, output 3.
    const at = (row: number, column: number, from: number, to: number) => ((row * 3 + column) * 3 + from) * 4 + to
    expect(written[at(1, 2, 0, 3)]).toBe(data[(3 * 3 + 0) * 9 + 1 * 3 + 2])
  })
})

test('every other layer comes back as the same function', async () => {
  const net = graphBuilder()
  net.at('stem')
  let at = net.layer('imageInput', 'picture', { height: 9, width: 8, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }, [])
  at = net.layer('conv2d', 'conv', { outChannels: 8, kernel: [3, 3], stride: [2, 2], padding: 'same', bias: true }, [
    at,
  ])
  at = net.layer(
    'conv2d',
    'grouped',
    { outChannels: 8, kernel: [3, 3], stride: [1, 1], padding: [2, 2, 2, 2], dilation: [2, 2], groups: 2 },
    [at],
  )
  for (const [index, attrs] of activations.entries()) at = net.layer('activation', `activation.${index}`, attrs, [at])
  at = net.layer('prelu', 'prelu', {}, [at])
  const side = net.layer('maxPool', 'largest', { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] }, [at])
  at = net.layer('add', 'sum', { activation: 'relu6' }, [at, side])
  at = net.layer('averagePool', 'mean', { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }, [at])
  at = net.layer('globalAveragePool', 'pool', {}, [at])
  at = net.layer('linear', 'classifier', { outFeatures: 5, bias: true }, [at])
  at = net.layer('softmax', 'probabilities', {}, [at])
  const graph = net.finish({ output: at, features: 'pool' })
  const tensors = randomParameters(graph, 3)
  const file = join(folder, 'all.onnx')
  writeFileSync(file, onnxModel(graph, tensors, { producerVersion: '0' }))
  const network = await importOnnx(file, onnxInput)
  const input = noise(2 * 9 * 8 * 3, 5)
  const outputs = await runOnnx(engine, network, { shape: [2, 3, 9, 8], data: channelsFirst(input, 72) })
  const [found] = [...outputs.values()]
  const parameters = new Map([...tensors].map(([name, { data }]) => [name, data]))
  const expected = referenceOf(graph, { parameters, input: Float64Array.from(input), images: 2 }).output(graph.output)
  expect(found?.data.length).toBe(expected.length)
  for (const [index, value] of expected.entries())
    expect(Math.abs((found?.data[index] ?? Number.NaN) - value)).toBeLessThan(1e-5)
})

function channelsFirst(values: Float32Array, pixels: number): Float32Array {
  return values.map((_, at) => {
    const picture = Math.floor(at / (3 * pixels))
    const channel = Math.floor(at / pixels) % 3
    return values[(picture * pixels + (at % pixels)) * 3 + channel] ?? 0
  })
}

describe('the command', () => {
  test('says what it wrote, and refuses a folder with other things in it', async () => {
    const source = join(folder, 'mobilenetv1_025-linear')
    const out = join(folder, 'by-command')
    const ran = await regraft(['export', source, '--out', out])
    expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
    expect(ran.stderr).toMatch(/by-command: .*model\.onnx.*; read back, its outputs are within/)
    expect((await regraft(['export', source, '--out', out])).stderr).toMatch(/is not empty/)
    expect((await regraft(['export', source, '--out', out, '--overwrite'])).exitCode).toBe(0)
    writeFileSync(join(out, 'mine.txt'), 'mine')
    const refused = await regraft(['export', source, '--out', out, '--overwrite'])
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toMatch(/not an export's \(mine\.txt\)/)
    expect(readdirSync(out)).toContain('mine.txt')
  })

  test('names the layers that a format does not have, and leaves nothing', async () => {
    const net = graphBuilder()
    net.at('stem')
    let at = net.layer('imageInput', 'picture', { height: 8, width: 8, mean: [0, 0, 0], std: [1, 1, 1] }, [])
    at = net.layer('conv2d', 'conv', { outChannels: 8, kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] }, [at])
    at = net.layer('activation', 'bend', { kind: 'mish' }, [at])
    at = net.layer('globalAveragePool', 'pool', {}, [at])
    at = net.layer('maxout', 'most', { pieces: 2 }, [at])
    const graph = net.finish({ output: at, features: at })
    expect(() => onnxModel(graph, randomParameters(graph, 1), { producerVersion: '0' })).toThrow(
      /nothing for bend \(activation\), most \(maxout\)/,
    )
    mkdirSync(join(folder, 'empty'))
    const ran = await regraft(['export', join(folder, 'missing'), '--out', join(folder, 'empty', 'x')])
    expect(ran.exitCode).not.toBe(0)
    expect(readdirSync(join(folder, 'empty'))).toEqual([])
  })
})
