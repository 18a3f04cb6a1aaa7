// How fresh weights begin: their statistics against recorded ones and against their definitions.
import { describe, expect, test } from 'vitest'
import { graphBuilder } from '../../src/graph/builder.ts'
import { initialWeights } from '../../src/model/initialise.ts'
import { initialiserNamed, UnknownInitialiser } from '../../src/model/initialisers.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { hasOracle, oracleCases } from '../support/oracle.ts'

/** Weight and bias of a layer of this weight's shape, drawn. */
async function drawn(
  text: string,
  shape: readonly number[],
  seed = 1,
): Promise<{ weight: HostTensor; bias: HostTensor }> {
  const [out = 1, inputs = 1, ...window] = shape
  const net = graphBuilder()
  const [height, width] = window
  if (height === undefined || width === undefined) {
    const input = net.layer('tensorInput', 'input', { shape: [inputs] }, [])
    net.layer('linear', 'layer', { outFeatures: out, bias: true }, [input])
  } else {
    const depthwise = inputs === 1
    const input = net.layer('tensorInput', 'input', { shape: [height, width, depthwise ? out : inputs] }, [])
    const sliding = { kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0], bias: true } as const
    if (depthwise) net.layer('depthwiseConv2d', 'layer', sliding, [input])
    else net.layer('conv2d', 'layer', { ...sliding, outChannels: out }, [input])
  }
  const tensors = await initialWeights(net.finish({ output: 'layer', features: 'input' }), seed, initialiserNamed(text))
  const [weight, bias] = [tensors.get('layer.weight'), tensors.get('layer.bias')]
  if (!weight || !bias) throw new Error('a layer has weight and bias')
  expect(weight.shape).toEqual(shape)
  return { weight, bias }
}

function statistics({ data }: HostTensor) {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length
  const variance = data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length
  return { mean, std: Math.sqrt(variance), most: data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) }
}

const namesOfRecorded: Readonly<Record<string, string>> = {
  xavier_uniform: 'xavier-uniform',
  xavier_normal: 'xavier-normal',
  he_uniform_fan_in: 'he-uniform',
  he_uniform_fan_out: 'he-uniform-fan-out',
  he_normal_fan_in: 'he-normal',
  he_normal_fan_out: 'he-normal-fan-out',
  he_uniform_leaky_a_sqrt5: 'pytorch',
  normal_1_over_sqrt_n_in: 'lecun-normal',
}

describe.skipIf(!hasOracle)('against recorded statistics of PyTorch', () => {
  test('init_trunc_normal_0.02: cut where nothing lies', async () => {
    const [recorded] = oracleCases(/^init_trunc_normal/)
    const { weight } = await drawn('normal:0.02', [200, 300])
    const { mean, std, most } = statistics(weight)
    const [, bound = 0] = recorded?.numbers('bounds') ?? []
    expect(Math.abs(mean)).toBeLessThan(4e-4)
    expect(std / (recorded?.number('std') ?? Number.NaN)).toBeCloseTo(1, 1)
    expect(most).toBeLessThan(bound)
  })

  const recordings = oracleCases(/^init_/).filter(({ name }) => !name.startsWith('init_trunc'))

  test('all of them are there', () => {
    expect(recordings).toHaveLength(32)
  })

  test.each(recordings)('$name', async (recorded) => {
    const shape = recorded.config['weight_shape'] as readonly number[]
    const name = namesOfRecorded[String(recorded.config['scheme'])] ?? ''
    const { weight } = await drawn(name, shape)
    const { mean, std, most } = statistics(weight)
    expect(Math.abs(mean)).toBeLessThan(5 * recorded.number('standard_error_of_mean'))
    expect(Math.abs(std - recorded.number('std'))).toBeLessThan(5 * recorded.number('standard_error_of_std'))
    if (recorded.config['bound'] === null) return expect(most).toBeGreaterThan(2.5 * recorded.number('std'))
    const bound = recorded.number('bound')
    expect(most).toBeLessThanOrEqual(bound * (1 + 1e-6))
    expect(most).toBeGreaterThan(0.99 * bound)
  })
})

test.each([
  ['lecun-uniform', Math.sqrt(3 / 300), true],
  ['uniform:0.2', 0.2, true],
  ['normal:0.01', 0.01, false],
  ['normal:0.05', 0.05, false],
  ['standard-normal', 1, false],
] as const)('%s has its size', async (name, size, uniform) => {
  const { weight, bias } = await drawn(name, [200, 300])
  const { mean, std, most } = statistics(weight)
  expect(Math.abs(mean)).toBeLessThan(0.02 * size)
  if (uniform) {
    expect(most).toBeLessThanOrEqual(size)
    expect(most).toBeGreaterThan(0.99 * size)
  } else {
    expect(std / size).toBeGreaterThan(0.98)
    expect(std / size).toBeLessThan(1.02)
    expect(most).toBeGreaterThan(3 * size)
  }
  // Biases are drawn with standard-normal alone.
  const biases = statistics(bias)
  if (name === 'standard-normal') expect(biases.std).toBeGreaterThan(0.8)
  else expect(biases.most).toBe(0)
})

test.each([
  ['lecun-normal', 1 / 300, false],
  ['xavier-normal', 2 / 500, false],
  ['xavier-uniform', 2 / 500, true],
  ['he-normal', 2 / 300, false],
  ['he-uniform', 2 / 300, true],
  ['he-normal-fan-out', 2 / 200, false],
  ['he-uniform-fan-out', 2 / 200, true],
] as const)('%s has the variance of its formula', async (name, variance, uniform) => {
  // 300 inputs, 200 outputs.
  const { mean, std, most } = statistics((await drawn(name, [200, 300])).weight)
  const size = Math.sqrt(variance)
  expect(Math.abs(mean)).toBeLessThan(0.02 * size)
  expect(std / size).toBeGreaterThan(0.98)
  expect(std / size).toBeLessThan(1.02)
  if (uniform) expect(most).toBeLessThanOrEqual(Math.sqrt(3) * size)
  else expect(most).toBeGreaterThan(3 * size)
})

test('biases begin as they are told, and as PyTorch has them', async () => {
  const { bias } = await drawn('he-normal,constant:0.1', [50, 20])
  expect([...bias.data]).toEqual(new Array(50).fill(Math.fround(0.1)))
  const { bias: random } = await drawn('zeros,normal:2', [400, 3])
  expect(statistics(random).std).toBeGreaterThan(1.7)
  const { bias: torch } = await drawn('pytorch', [400, 25])
  expect(statistics(torch).most).toBeLessThanOrEqual(0.2)
  expect(statistics(torch).most).toBeGreaterThan(0.19)
})

test('zeros are zeros, shorthands are what they stand for, and another seed is another draw', async () => {
  const { weight, bias } = await drawn('zeros', [4, 5, 3, 3])
  expect([...weight.data, ...bias.data].every((value) => value === 0)).toBe(true)
  for (const [short, long] of [
    ['he', 'he-normal'],
    ['kaiming', 'he-normal'],
    ['xavier', 'xavier-uniform'],
    ['Glorot', 'xavier-uniform'],
    ['lecun', 'lecun-normal'],
  ] as const)
    expect(await drawn(short, [6, 7])).toEqual(await drawn(long, [6, 7]))
  expect(await drawn('he', [6, 7], 2)).not.toEqual(await drawn('he', [6, 7], 1))
})

test.each([
  ['hee-normal', /not known.*Did you mean 'he-normal'/],
  ['normal', /not known.*Did you mean 'normal'|not known/],
  ['normal:', /needs a number above 0 behind the colon, as in normal:0\.01/],
  ['normal:-1', /needs a number above 0/],
  ['uniform:0', /needs a number above 0/],
  ['constant:x', /needs a number behind the colon/],
  ['he-normal,xavier', /is not known/],
  ['he-normal,xavier-normal', /biases by fan/],
  ['standard-normal,zeros', /says twice how biases begin/],
  ['zeros,zeros,zeros', /more than two parts/],
  ['__proto__', /not known/],
])('%s is refused', (text, message) => {
  expect(() => initialiserNamed(text)).toThrow(UnknownInitialiser)
  expect(() => initialiserNamed(text)).toThrow(message)
})
