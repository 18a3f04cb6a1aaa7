// Models for elsewhere: what is written gives the model's outputs when it is read.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { importOnnx } from '../../src/formats/onnx-network.ts'
import { onnxModel } from '../../src/formats/write-onnx.ts'
import { tfjsModel } from '../../src/formats/write-tfjs.ts'
import { graphBuilder } from '../../src/graph/builder.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import type { Head } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import type { ActivationAttributes } from '../../src/ops/activation.ts'
import { referenceOf } from '../../src/reference/interpreter.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { exportModel } from '../../src/transfer/export.ts'
import { goldenPictures, outputsOf } from '../../src/transfer/golden.ts'
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
  ['shufflenet_v2_x0_5', { kind: 'linear' }],
  ['convnext_atto', { kind: 'linear' }],
  ['vit_tiny_patch16_224', { kind: 'linear' }],
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

const layersModels = [
  ['mobilenetv1_025', { kind: 'linear' }],
  ['mobilenetv2_035', { kind: 'mlp', width: 16, depth: 2 }],
  ['mobilenetv2_035', { kind: 'none' }],
  ['mobilenetv3_small_100', { kind: 'linear' }],
  ['tf_mobilenetv3_small_100', { kind: 'linear' }],
  ['mobilenetv4_conv_small', { kind: 'linear' }],
  ['mnasnet_050', { kind: 'linear' }],
  ['efficientnet_b0', { kind: 'linear' }],
  ['squeezenet1_1', { kind: 'linear' }],
  ['convnext_atto', { kind: 'linear' }],
] as const satisfies readonly (readonly [string, Head])[]

describe.each(layersModels)('%s with a head %j', (architecture, head) => {
  test('goes to a layers model of TensorFlow.js, comes back, and goes there again', async () => {
    const name = `${architecture}-${head.kind}`
    const source = join(folder, `${name}-for-tfjs`)
    const named = head.kind === 'none' ? [] : labels
    const written = await randomModel(architecture, { head, labels: named })
    await saveModel(written, source)
    const out = join(folder, `${name}-tfjs`)
    const result = await exportModel(source, { engine, format: 'tfjs', out })
    expect(result.difference).toBeLessThanOrEqual(1e-5)
    expect(result.files).toEqual(expect.arrayContaining(['config.json', 'golden.safetensors', 'model.json']))
    const shards = result.files.filter((file) => /^group1-shard\d+of\d+\.bin$/.test(file)).sort()
    expect(shards.length).toBe(result.files.length - 3)
    expect(shards.every((file) => statSync(join(out, file)).size <= 4 * 2 ** 20)).toBe(true)
    const json = readFileSync(join(out, 'model.json'), 'utf8')
    expect(JSON.parse(json)).toMatchObject({
      format: 'layers-model',
      userDefinedMetadata: {
        labels: named,
        output: head.kind === 'none' ? 'features' : 'logits',
        preprocessing: { mean: written.preprocessing.mean, cropPct: written.preprocessing.cropPct },
      },
    })
    // Alone, as a web page has it.
    for (const file of ['config.json', 'golden.safetensors']) rmSync(join(out, file))
    const { model } = await loadModel(join(out, 'model.json'))
    expect(model.labels).toEqual(named)
    expect(model.preprocessing).toMatchObject({
      mean: written.preprocessing.mean,
      std: written.preprocessing.std,
      cropPct: written.preprocessing.cropPct,
    })
    const second = join(folder, `${name}-tfjs-2`)
    const again = await exportModel(join(out, 'model.json'), { engine, format: 'tfjs', out: second })
    expect(again.difference).toBeLessThanOrEqual(1e-5)
    for (const shard of shards)
      expect(readFileSync(join(second, shard)).equals(readFileSync(join(out, shard)))).toBe(true)
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
  const input = { height: 9, width: 8, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
  const common = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], bias: false } as const
  const nothing = { producerVersion: '0', metadata: {} } as const

  /** Writes a network where the reader finds it. */
  function write(name: string, graph: Graph, tensors: ReadonlyMap<string, HostTensor>) {
    const at = join(folder, name)
    mkdirSync(at)
    const { json, shards } = tfjsModel(graph, tensors, nothing)
    writeFileSync(join(at, 'model.json'), JSON.stringify(json))
    for (const [file, pieces] of shards) writeFileSync(join(at, file), Buffer.concat([...pieces]))
    return join(at, 'model.json')
  }

  test('has no layers that tfjs-layers lacks: all of them are named', () => {
    const net = graphBuilder()
    net.at('stem')
    let at = net.layer('imageInput', 'picture', input, [])
    at = net.layer('conv2d', 'first', { ...common, outChannels: 4 }, [at])
    at = net.layer('activation', 'bent', { kind: 'hard-tanh' }, [at])
    at = net.layer('conv2d', 'grouped', { ...common, outChannels: 4, groups: 2 }, [at])
    at = net.layer('maxPool', 'pool', { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1], ceilMode: true }, [at])
    at = net.layer('depthwiseConv2d', 'wide', { ...common, dilation: [2, 2], padding: [2, 2, 2, 2] }, [at])
    at = net.layer('channelShuffle', 'shuffled', { groups: 2 }, [at])
    const graph = net.finish({ output: at, features: at })
    expect(() => tfjsModel(graph, randomParameters(graph, 1), nothing)).toThrow(
      /nothing for bent \(hard-tanh\), grouped \(conv2d in groups\), pool \(maxPool\), wide \(depthwiseConv2d\), shuffled \(channelShuffle\)\.\nUse --format onnx/,
    )
  })

  test('has kernels in the order of TensorFlow, and zeros where its own padding is another', () => {
    const net = graphBuilder()
    net.at('stem')
    const picture = net.layer('imageInput', 'picture', { ...input, height: 8 }, [])
    const first = net.layer('conv2d', 'first', { ...common, outChannels: 4 }, [picture])
    const second = net.layer('conv2d', 'second', { ...common, stride: [2, 2], outChannels: 4 }, [first])
    const graph = net.finish({ output: second, features: second })
    const data = Float32Array.from({ length: 4 * 3 * 9 }, (_, index) => index)
    const tensors = new Map([
      ['first.weight', { shape: [4, 3, 3, 3], data }],
      ['second.weight', { shape: [4, 4, 3, 3], data: new Float32Array(144) }],
    ])
    const { json, shards } = tfjsModel(graph, tensors, nothing)
    const padding = [
      [1, 0],
      [1, 0],
    ]
    expect(json).toMatchObject({
      weightsManifest: [
        { paths: ['group1-shard1of1.bin'], weights: [{ name: 'first/kernel', shape: [3, 3, 3, 4] }, {}] },
      ],
      modelTopology: {
        model_config: {
          config: {
            layers: [
              { class_name: 'InputLayer' },
              { class_name: 'Conv2D', config: { padding: 'same' } },
              { class_name: 'ZeroPadding2D', config: { padding } },
              { class_name: 'Conv2D', config: { padding: 'valid' }, inbound_nodes: [[['second.padding', 0, 0, {}]]] },
            ],
          },
        },
      },
    })
    const bytes = Buffer.concat([...(shards.get('group1-shard1of1.bin') ?? [])])
    // Row 1, column 2, input 0, output 3.
    const at = ((1 * 3 + 2) * 3 + 0) * 4 + 3
    expect(bytes.readFloatLE(4 * at)).toBe(data[(3 * 3 + 0) * 9 + 1 * 3 + 2])
  })

  test('comes back as the same function, every layer of it', async () => {
    const net = graphBuilder()
    net.at('stem')
    let at = net.layer('imageInput', 'picture', input, [])
    at = net.layer('conv2d', 'conv', { ...common, outChannels: 8, stride: [2, 2], padding: 'same', bias: true }, [at])
    at = net.layer('conv2d', 'dilated', { ...common, outChannels: 8, padding: [2, 2, 2, 2], dilation: [2, 2] }, [at])
    const exported = activations.filter(({ kind }) => kind !== 'elu')
    for (const [index, attrs] of exported.entries()) at = net.layer('activation', `activation.${index}`, attrs, [at])
    for (const kind of ['elu', 'mish', 'gelu', 'gelu-tanh', 'none'] as const)
      at = net.layer('activation', `plain.${kind}`, { kind }, [at])
    at = net.layer('prelu', 'prelu', {}, [at])
    at = net.layer('prelu', 'shared', { shared: true }, [at])
    at = net.layer('layerNorm', 'norm', { epsilon: 1e-6 }, [at])
    at = net.layer('layerScale', 'scaled', { initial: 0.5 }, [at])
    at = net.layer('linear', 'pixels', { outFeatures: 8, bias: true }, [at])
    const mean = net.layer('averagePool', 'near', { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] }, [at])
    const plain = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], countIncludePad: false } as const
    const other = net.layer('averagePool', 'inner', plain, [at])
    at = net.layer('add', 'sum', { activation: 'relu6' }, [mean, other])
    const largest = net.layer('maxPool', 'largest', common, [at])
    at = net.layer('concat', 'both', {}, [at, largest])
    at = net.layer('maxPool', 'rest', { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0], ceilMode: true }, [at])
    at = net.layer('batchNorm', 'statistics', { epsilon: 1e-3, momentum: 0.1, activation: 'relu' }, [at])
    let gate = net.layer('globalAveragePool', 'means', {}, [at])
    gate = net.layer('linear', 'squeezed', { outFeatures: 16, bias: true }, [gate])
    gate = net.layer('activation', 'gates', { kind: 'hard-sigmoid' }, [gate])
    at = net.layer('scale', 'gated', {}, [at, gate])
    at = net.layer('adaptiveAveragePool', 'pixel', { output: [1, 1] }, [at])
    at = net.layer('conv2d', 'classifier', { ...common, kernel: [1, 1], padding: [0, 0, 0, 0], outChannels: 5 }, [at])
    const graph = net.finish({ output: at, features: at })
    const tensors = randomParameters(graph, 3)
    const { model } = await loadModel(write('every-layer', graph, tensors))
    const pictures = goldenPictures(2, 9, 8)
    const found = await outputsOf(engine, model, pictures, 2, undefined)
    const floats = Float64Array.from(pictures, (byte) => (byte / 255 - 0.5) / 0.5)
    const parameters = new Map([...tensors].map(([name, { data }]) => [name, data]))
    const expected = referenceOf(graph, { parameters, input: floats, images: 2 }).output(graph.output)
    expect(found.length).toBe(expected.length)
    for (const [index, value] of expected.entries())
      expect(Math.abs((found[index] ?? Number.NaN) - value)).toBeLessThan(1e-5)
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01)
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
  const more = [{ kind: 'hard-tanh' }, { kind: 'mish' }, { kind: 'gelu' }] as const
  for (const [index, attrs] of [...activations, ...more].entries())
    at = net.layer('activation', `activation.${index}`, attrs, [at])
  at = net.layer('prelu', 'prelu', {}, [at])
  at = net.layer('layerNorm', 'norm', { epsilon: 1e-3 }, [at])
  at = net.layer('layerScale', 'scaled', { initial: 0.5 }, [at])
  at = net.layer('linear', 'pixels', { outFeatures: 16, bias: true }, [at])
  at = net.layer('maxout', 'most', { pieces: 2 }, [at])
  const [left, right] = [
    net.layer('slice', 'left', { from: 0, channels: 4 }, [at]),
    net.layer('slice', 'right', { from: 4, channels: 4 }, [at]),
  ]
  at = net.layer('concat', 'turned', {}, [right, left])
  at = net.layer('channelShuffle', 'shuffled', { groups: 4 }, [at])
  const side = net.layer('maxPool', 'largest', { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] }, [at])
  at = net.layer('add', 'sum', { activation: 'relu6' }, [at, side])
  at = net.layer('averagePool', 'mean', { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] }, [at])
  at = net.layer('classToken', 'first', {}, [at])
  at = net.layer('positions', 'places', {}, [at])
  at = net.layer('layerNorm', 'tokens.norm', { epsilon: 1e-6 }, [at])
  const qkv = net.layer('linear', 'tokens.qkv', { outFeatures: 48, bias: true }, [at])
  at = net.layer('attention', 'tokens.seen', { heads: 2 }, [qkv])
  at = net.layer('linear', 'tokens.more', { outFeatures: 24 }, [at])
  at = net.layer('maxout', 'tokens.most', { pieces: 3 }, [at])
  at = net.layer('layerScale', 'tokens.scaled', { initial: 0.5 }, [at])
  at = net.layer('firstToken', 'pool', {}, [at])
  at = net.layer('linear', 'hidden', { outFeatures: 12, bias: true }, [at])
  at = net.layer('maxout', 'widest', { pieces: 2 }, [at])
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
    at = net.layer('activation', 'bend', { kind: 'gelu-tanh' }, [at])
    at = net.layer('adaptiveAveragePool', 'pool', { output: [3, 3] }, [at])
    const graph = net.finish({ output: at, features: at })
    expect(() => onnxModel(graph, randomParameters(graph, 1), { producerVersion: '0' })).toThrow(
      /nothing for bend \(activation\), pool \(adaptiveAveragePool\)/,
    )
    mkdirSync(join(folder, 'empty'))
    const ran = await regraft(['export', join(folder, 'missing'), '--out', join(folder, 'empty', 'x')])
    expect(ran.exitCode).not.toBe(0)
    expect(readdirSync(join(folder, 'empty'))).toEqual([])
  })
})
