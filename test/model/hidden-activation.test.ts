import { expect, test } from 'vitest'
import { activationNames, activationText, hiddenActivation } from '../../src/model/hidden-activation.ts'

test('all activations of the notes are there', () => {
  const asked = ['sigmoid', 'tanh', 'relu', 'leaky-relu', 'prelu', 'elu', 'relu6', 'selu', 'silu', 'gelu', 'gelu-tanh']
  expect(activationNames).toEqual(expect.arrayContaining([...asked, 'mish', 'softplus', 'hard-swish', 'hard-sigmoid']))
})

test.each(activationNames)('%s is read and written back', (name) => {
  const activation = hiddenActivation(name)
  expect(activation).toEqual({ kind: name })
  expect(activation && activationText(activation)).toBe(name)
})

test.each([
  ['leaky-relu:0.1', { kind: 'leaky-relu', slope: 0.1 }],
  ['elu:0.5', { kind: 'elu', alpha: 0.5 }],
  ['softplus:2', { kind: 'softplus', beta: 2 }],
  ['prelu:shared', { kind: 'prelu', shared: true }],
])('%s has its number', (text, activation) => {
  expect(hiddenActivation(text)).toEqual(activation)
  expect(activationText(activation as Parameters<typeof activationText>[0])).toBe(text)
})

test.each([
  ['hardswish', 'hard-swish'],
  ['GELU_tanh', 'gelu-tanh'],
  ['LeakyReLU:0.2', 'leaky-relu:0.2'],
])('%s is %s', (text, name) => {
  const activation = hiddenActivation(text)
  expect(activation && activationText(activation)).toBe(name)
})

test.each([
  'none',
  'gelo',
  '',
  'gelu:1',
  'leaky-relu:1',
  'leaky-relu:-0.1',
  'elu:0',
  'elu:',
  'softplus:0',
  'prelu:0.1',
  'elu:1:2',
  'elu:x',
])('%j is none', (text) => {
  expect(hiddenActivation(text)).toBeUndefined()
})
