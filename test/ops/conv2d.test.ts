import { expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import { initialWeights } from '../../src/model/initialise.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { type ConvolutionShape, chooseConvolution, convolutionCandidates } from '../../src/ops/convolution-algorithm.ts'

const around = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] } as const

test('a convolution in groups has weights and products for the inputs of a group alone', () => {
  const attrs = { ...around, outChannels: 12, groups: 3, bias: true }
  const input = [5, 7, 6]
  expect(conv2d.shape(attrs, [input])).toEqual([5, 7, 12])
  expect(conv2d.parameters(attrs, [input]).map(({ shape }) => shape)).toEqual([[12, 2, 3, 3], [12]])
  expect(conv2d.cost(attrs, [input])).toBe(5 * 7 * 12 * 9 * 2)
})

test.each([
  [6, 8, 3],
  [8, 6, 4],
  [8, 8, 0],
  [8, 8, 1.5],
])('%i to %i channels do not fall into %f groups', (channels, outChannels, groups) => {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [5, 5, channels] }, [])
  const layer = () => net.layer('conv2d', 'stem.conv', { ...around, outChannels, groups }, [input])
  expect(layer).toThrow(`layer 'stem.conv': groups must divide the input and output channels; ${groups} does not`)
})

test('random weights of groups are drawn for the outputs that see an input', async () => {
  const net = graphBuilder()
  const input = net.layer('tensorInput', 'input', { shape: [5, 5, 64] }, [])
  const output = net.layer('conv2d', 'conv', { ...around, outChannels: 128, groups: 8 }, [input])
  const weights = await initialWeights(net.finish({ output, features: output }), 1)
  const { data } = weights.get('conv.weight') ?? { data: new Float32Array(0) }
  const variance = data.reduce((total, value) => total + value * value, 0) / data.length
  expect(variance / (2 / (9 * 16))).toBeCloseTo(1, 1)
})

const shape: ConvolutionShape = {
  direction: 'forward',
  kernel: [3, 3],
  stride: [1, 1],
  dilation: [1, 1],
  groups: 1,
  inChannels: 64,
  outChannels: 64,
  outHeight: 14,
  outWidth: 14,
  weightFixed: true,
}

test('Winograd’s algorithm serves where its tiles are well filled', () => {
  for (const direction of ['forward', 'backwardInput', 'backwardWeight'] as const) {
    expect(convolutionCandidates({ ...shape, direction })).toEqual(['winograd', 'patches'])
    expect(convolutionCandidates({ ...shape, direction, outHeight: 1, outWidth: 1 })).toEqual(['patches', 'winograd'])
  }
  // Three of four rows and columns: worth it if the weight is transformed once.
  const three = { ...shape, outHeight: 3, outWidth: 3 }
  expect(chooseConvolution(three)).toBe('winograd')
  expect(chooseConvolution({ ...three, weightFixed: false })).toBe('patches')
  expect(chooseConvolution({ ...three, direction: 'backwardWeight' })).toBe('patches')
})

test('an algorithm that cannot serve a shape is not forced upon it', () => {
  expect(chooseConvolution(shape, 'patches')).toBe('patches')
  expect(chooseConvolution({ ...shape, outHeight: 1, outWidth: 1 }, 'winograd')).toBe('winograd')
  for (const other of [{ kernel: [3, 5] }, { stride: [1, 2] }, { dilation: [2, 1] }, { groups: 2 }] as const) {
    expect(convolutionCandidates({ ...shape, ...other })).toEqual(['patches'])
    expect(chooseConvolution({ ...shape, ...other }, 'winograd')).toBe('patches')
  }
})
