import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/formats/index.ts'
import { importOnnx } from '../../src/formats/onnx-network.ts'
import { createEngine } from '../../src/kernels/engine.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { readOracle } from '../support/read-oracle.ts'
import { noise } from '../support/values.ts'
import { onnxInput, runOnnx } from './run-onnx.ts'
import { onnxFile, type TestModel, type TestNode } from './write-onnx.ts'

const folder = temporaryFolder()
const oracle = join(import.meta.dirname, '../../../shared/oracle')
const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())

describe.skipIf(!existsSync(join(oracle, 'index.json')))('networks that PyTorch exported', () => {
  it.each(readOracle('onnx').map((item) => [item.name, item] as const))('%s', async (_name, item) => {
    const file = join(oracle, String(item.config['onnx']))
    const network = await importOnnx(file, onnxInput)
    const { shape, values } = item.tensor('input')
    const outputs = await runOnnx(engine, network, { shape, data: values })
    const { values: expected, tolerance } = item.tensor('logits')
    const found = outputs.get('logits')?.data ?? []
    expect(found.length).toBe(expected.length)
    for (const [at, value] of expected.entries()) {
      const allowed = (tolerance?.absolute ?? 0) + (tolerance?.relative ?? 0) * Math.abs(value)
      expect(Math.abs((found[at] ?? Number.NaN) - value), `logit ${at}`).toBeLessThanOrEqual(allowed)
    }
  })
})

let files = 0
async function load(model: TestModel) {
  const file = join(folder, `${files++}.onnx`)
  writeFileSync(file, onnxFile(model))
  return importOnnx(file, onnxInput)
}

const floats = (shape: readonly number[], seed: number) => ({
  shape,
  data: noise(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
})
const integers = (...values: number[]) => ({ shape: [values.length], data: BigInt64Array.from(values, BigInt) })
const node = (op: string, inputs: string, output: string, attributes: TestNode['attributes'] = {}): TestNode => ({
  op,
  inputs: inputs.split(' '),
  outputs: [output],
  attributes,
})

/** Convolution as ONNX defines it, channels first, in double precision. */
function convolution(
  x: { shape: readonly number[]; data: ArrayLike<number> },
  w: { shape: readonly number[]; data: ArrayLike<number> },
  { stride = 1, pads = [0, 0, 0, 0], group = 1 }: { stride?: number; pads?: readonly number[]; group?: number } = {},
): { shape: number[]; data: number[] } {
  const [N = 1, C = 1, H = 1, W = 1] = x.shape
  const [O = 1, I = 1, kh = 1, kw = 1] = w.shape
  const [top = 0, left = 0, bottom = 0, right = 0] = pads
  const OH = Math.floor((H + top + bottom - kh) / stride) + 1
  const OW = Math.floor((W + left + right - kw) / stride) + 1
  const data: number[] = []
  for (let n = 0; n < N; n++)
    for (let o = 0; o < O; o++)
      for (let oh = 0; oh < OH; oh++)
        for (let ow = 0; ow < OW; ow++) {
          let sum = 0
          for (let i = 0; i < I; i++)
            for (let a = 0; a < kh; a++)
              for (let b = 0; b < kw; b++) {
                const [h, v] = [oh * stride - top + a, ow * stride - left + b]
                if (h < 0 || v < 0 || h >= H || v >= W) continue
                const channel = Math.floor(o / (O / group)) * I + i
                sum +=
                  (x.data[((n * C + channel) * H + h) * W + v] ?? 0) * (w.data[((o * I + i) * kh + a) * kw + b] ?? 0)
              }
          data.push(sum)
        }
  return { shape: [N, O, OH, OW], data }
}

function expectClose(
  found: { shape: number[]; data: ArrayLike<number> } | undefined,
  expected: { shape: number[]; data: ArrayLike<number> },
) {
  expect(found?.shape).toEqual(expected.shape)
  for (let at = 0; at < expected.data.length; at++)
    expect(found?.data[at]).toBeCloseTo(expected.data[at] ?? Number.NaN, 4)
}

describe('an ONNX model', () => {
  const x = floats([2, 3, 5, 6], 1)

  it.each([
    ['pads', { pads: [1, 0, 2, 1], strides: [2, 2] }, { pads: [1, 0, 2, 1], stride: 2 }],
    ['auto_pad SAME_UPPER', { auto_pad: 'SAME_UPPER', strides: [2, 2] }, { pads: [1, 0, 1, 1], stride: 2 }],
    ['auto_pad SAME_LOWER', { auto_pad: 'SAME_LOWER', strides: [2, 2] }, { pads: [1, 1, 1, 0], stride: 2 }],
    ['auto_pad VALID', { auto_pad: 'VALID' }, {}],
  ] as const)('convolves with %s', async (_, attributes, reference) => {
    const w = floats([4, 3, 3, 3], 2)
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [node('Conv', 'x w', 'y', attributes)],
      initialisers: { w },
    })
    expectClose((await runOnnx(engine, network, x)).get('y'), convolution(x, w, reference))
  })

  it('convolves each channel by itself', async () => {
    const w = floats([3, 1, 3, 3], 3)
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [node('Conv', 'x dw.weight', 'y', { group: 3, pads: [1, 1, 1, 1] })],
      initialisers: { 'dw.weight': w },
    })
    expect(network.graph.layers.map(({ op, name }) => [op, name])).toEqual([
      ['imageInput', 'input'],
      ['depthwiseConv2d', 'dw'],
    ])
    expectClose((await runOnnx(engine, network, x)).get('y'), convolution(x, w, { pads: [1, 1, 1, 1], group: 3 }))
  })

  it('convolves in groups of several channels', async () => {
    const first = floats([6, 3, 1, 1], 5)
    const w = floats([9, 2, 3, 3], 6)
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [node('Conv', 'x first', 'c'), node('Conv', 'c w', 'y', { group: 3, pads: [1, 1, 1, 1] })],
      initialisers: { first, w },
    })
    const expected = convolution(convolution(x, first), w, { pads: [1, 1, 1, 1], group: 3 })
    expectClose((await runOnnx(engine, network, x)).get('y'), expected)
  })

  it('takes pictures with their channels last, and gives features in the order asked for', async () => {
    const w = floats([4, 3, 3, 3], 4)
    const network = await load({
      input: ['N', 5, 6, 3],
      nodes: [
        node('Transpose', 'x', 'first', { perm: [0, 3, 1, 2] }),
        node('Conv', 'first w', 'c'),
        node('Transpose', 'c', 'y', { perm: [0, 2, 3, 1] }),
      ],
      initialisers: { w },
    })
    const [N, C, H, W] = [2, 3, 5, 6]
    const last = Array.from({ length: x.data.length }, (_, at) => {
      const [c, v, h, n] = [at % C, Math.floor(at / C) % W, Math.floor(at / (C * W)) % H, Math.floor(at / (C * W * H))]
      return x.data[((n * C + c) * H + h) * W + v] ?? 0
    })
    const found = (await runOnnx(engine, network, { shape: [N, H, W, C], data: last })).get('y')
    const reference = convolution(x, w)
    expect(found?.shape).toEqual([2, 3, 4, 4])
    for (let n = 0; n < 2; n++)
      for (let o = 0; o < 4; o++)
        for (let p = 0; p < 12; p++)
          expect(found?.data[(n * 12 + p) * 4 + o]).toBeCloseTo(reference.data[(n * 4 + o) * 12 + p] ?? Number.NaN, 4)
  })

  it('flattens a picture into a linear layer, in the order of ONNX', async () => {
    const w = floats([4, 90], 5)
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [node('Flatten', 'x', 'f'), node('Gemm', 'f w b', 'y', { transB: 1 })],
      initialisers: { w, b: { shape: [4], data: Float32Array.of(1, 2, 3, 4) } },
    })
    const reference = convolution(x, { shape: [4, 3, 5, 6], data: w.data })
    const data = reference.data.map((value, at) => value + 1 + (at % 4))
    expectClose((await runOnnx(engine, network, x)).get('y'), { shape: [2, 4], data })
  })

  it('follows shapes that are computed in the graph', async () => {
    const w = floats([5, 3], 6)
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [
        node('GlobalAveragePool', 'x', 'p'),
        node('Shape', 'p', 's'),
        node('Gather', 's zero', 'n'),
        node('Unsqueeze', 'n axes', 'n1'),
        node('Concat', 'n1 minus', 'shape', { axis: 0 }),
        node('Reshape', 'p shape', 'f'),
        node('Transpose', 'w', 'wt', { perm: [1, 0] }),
        node('MatMul', 'f wt', 'm'),
        node('Add', 'm b', 'l'),
        node('Softmax', 'l', 'y'),
      ],
      initialisers: {
        w,
        b: { shape: [5], data: Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5) },
        zero: { shape: [], data: BigInt64Array.of(0n) },
        axes: integers(0),
        minus: integers(-1),
      },
    })
    expect(network.graph.layers.map(({ op }) => op)).toEqual(['imageInput', 'globalAveragePool', 'linear'])
    expect(network.graph.classifier).toBe(network.graph.output)
    const found = (await runOnnx(engine, network, x)).get('y')
    const mean = (n: number, c: number) =>
      x.data.slice((n * 3 + c) * 30, (n * 3 + c + 1) * 30).reduce((a, b) => a + b) / 30
    for (let n = 0; n < 2; n++) {
      const logits = [0, 1, 2, 3, 4].map((o) =>
        [0, 1, 2].reduce((sum, c) => sum + mean(n, c) * (w.data[o * 3 + c] ?? 0), (o + 1) / 10),
      )
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
      for (const [o, logit] of logits.entries()) expect(found?.data[n * 5 + o]).toBeCloseTo(Math.exp(logit) / total, 5)
    }
  })

  it('takes the difference of two values as a sum with a negative', async () => {
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [node('Relu', 'x', 'r'), node('Sub', 'r x', 's'), node('Neg', 's', 'y')],
      initialisers: {},
    })
    expect(network.graph.layers.map(({ op }) => op)).toEqual([
      'imageInput',
      'activation',
      'layerScale',
      'add',
      'layerScale',
    ])
    const data = x.data.map((value) => -(Math.max(0, value) - value))
    expectClose((await runOnnx(engine, network, x)).get('y'), { shape: [2, 3, 5, 6], data: [...data] })
  })

  it('joins activations with the layer before, and parameters with their names', async () => {
    const vector = (value: number) => ({ shape: [3], data: new Float32Array(3).fill(value) })
    const network = await load({
      input: ['N', 3, 4, 4],
      nodes: [
        node('BatchNormalization', 'x bn.weight bn.bias mean var', 'n', {
          epsilon: { float: 0.001 },
          momentum: { float: 0.9 },
        }),
        node('Constant', '', 'lo', { value_float: { float: 0 } }),
        node('Constant', '', 'hi', { value_float: { float: 6 } }),
        node('Clip', 'n lo hi', 'c'),
        node('Add', 'c x', 's'),
        node('Relu', 's', 'r'),
        node('ReduceMean', 'r', 'y', { axes: [2, 3], keepdims: 0 }),
      ],
      initialisers: { 'bn.weight': vector(2), 'bn.bias': vector(1), mean: vector(0.5), var: vector(0.999) },
    })
    const [, norm, sum] = network.graph.layers
    expect(norm).toMatchObject({
      op: 'batchNorm',
      name: 'bn',
      attrs: { epsilon: 0.001, momentum: 0.1, activation: 'relu6' },
    })
    expect(sum).toMatchObject({ op: 'add', attrs: { activation: 'relu' } })
    expect(network.checkpoint.names()).toEqual(['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'])
    const input = floats([1, 3, 4, 4], 7)
    const values = Array.from(input.data, (v) => Math.max(0, Math.min(6, Math.max(0, 2 * (v - 0.5) + 1)) + v))
    const data = [0, 1, 2].map((c) => values.slice(c * 16, (c + 1) * 16).reduce((a, b) => a + b) / 16)
    expectClose((await runOnnx(engine, network, input)).get('y'), { shape: [1, 3], data })
  })

  it('pools as ONNX says', async () => {
    const network = await load({
      input: ['N', 3, 5, 6],
      nodes: [
        node('MaxPool', 'x', 'm', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
        node('AveragePool', 'm', 'y', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      ],
    })
    const found = (await runOnnx(engine, network, x)).get('y')
    expect(found?.shape).toEqual([2, 3, 3, 3])
    const at = (h: number, w: number) => x.data[h * 6 + w] ?? Number.NEGATIVE_INFINITY
    const largest = (h: number, w: number) =>
      Math.max(
        ...[0, 1].flatMap((a) =>
          [0, 1].map((b) => (2 * h + a < 5 ? at(2 * h + a, 2 * w + b) : Number.NEGATIVE_INFINITY)),
        ),
      )
    // Without the padding in the divisor.
    expect(found?.data[0]).toBeCloseTo((largest(0, 0) + largest(0, 1) + largest(1, 0) + largest(1, 1)) / 4, 5)
  })

  it('whose input is impossibly large is refused', async () => {
    const model = load({ input: ['N', 3, 8, Number.MAX_SAFE_INTEGER], nodes: [node('Relu', 'x', 'y')] })
    await expect(model).rejects.toThrow("the input 'x' of the ONNX model is too large")
  })

  it('lists every operator that has no layer, once', async () => {
    const model = load({
      input: ['N', 3, 5, 6],
      nodes: [node('Sin', 'x', 'a'), node('Relu', 'a', 'b'), node('Cos', 'b', 'c'), node('Sin', 'c', 'y')],
    })
    await expect(model).rejects.toThrow('operators that are not supported: Sin (2 times), Cos.')
  })

  it('refuses parts of what would be a layer, by the operator that began it', async () => {
    const half = { shape: [], data: Float32Array.of(0.5) }
    const shape = (...sizes: readonly number[]) => ({
      shape: [sizes.length],
      data: BigInt64Array.from(sizes, (size) => BigInt(size)),
    })
    const of = (nodes: readonly TestNode[], initialisers: TestModel['initialisers']) =>
      load({ input: ['N', 4, 5, 6], nodes, initialisers: initialisers ?? {} })
    await expect(of([node('Mul', 'x half', 'y')], { half })).rejects.toThrow('not supported: Mul by a number.')
    await expect(of([node('Erf', 'x', 'y')], {})).rejects.toThrow('not supported: Erf.')
    await expect(of([node('Reshape', 'x s', 'y')], { s: shape(0, 2, 2, 5, 6) })).rejects.toThrow(
      'not supported: Reshape of [4, 5, 6] to [2, 2, 5, 6].',
    )
    const root = { shape: [], data: Float32Array.of(Math.SQRT2) }
    const erf = [node('Div', 'x root', 'a'), node('Erf', 'a', 'b'), node('Relu', 'b', 'y')]
    await expect(of(erf, { root })).rejects.toThrow('not supported: Div by a number.')
    await expect(of([node('MatMul', 'x x', 'y')], {})).rejects.toThrow('not supported')
  })

  it('is a weight file too, with its initialisers as they are', async () => {
    const file = join(folder, 'weights.onnx')
    const w = floats([4, 3, 1, 1], 8)
    writeFileSync(file, onnxFile({ input: ['N', 3, 5, 6], nodes: [node('Conv', 'x w', 'y')], initialisers: { w } }))
    const checkpoint = await openCheckpoint(file)
    expect(checkpoint.names()).toEqual(['w'])
    expect([...(await checkpoint.read('w')).data]).toEqual([...w.data])
  })
})
