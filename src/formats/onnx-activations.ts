// Activations of single elements, by ONNX' names.
import type { ActivationAttributes } from '../ops/activation.ts'
import { decimal } from './decimal.ts'
import { Unsupported } from './network-draft.ts'
import type { Attributes } from './onnx-attributes.ts'

/** Gives the attributes of our layer. @throws Unsupported for numbers that ours does not have */
type Activation = (attributes: Attributes) => ActivationAttributes

export const onnxActivations: ReadonlyMap<string, Activation> = new Map<string, Activation>([
  ['Relu', () => ({ kind: 'relu' })],
  ['Sigmoid', () => ({ kind: 'sigmoid' })],
  ['HardSigmoid', hardSigmoid],
  ['HardSwish', () => ({ kind: 'hard-swish' })],
  ['Tanh', () => ({ kind: 'tanh' })],
  ['Softsign', () => ({ kind: 'softsign' })],
  ['Softplus', () => ({ kind: 'softplus' })],
  ['Mish', () => ({ kind: 'mish' })],
  ['Selu', selu],
  ['Gelu', (attributes) => ({ kind: attributes.text('approximate', 'none') === 'tanh' ? 'gelu-tanh' : 'gelu' })],
  ['LeakyRelu', (attributes) => ({ kind: 'leaky-relu', slope: decimal(attributes.float('alpha', 0.01)) })],
  ['Elu', (attributes) => ({ kind: 'elu', alpha: decimal(attributes.float('alpha', 1)) })],
])

/** What x·gate(x) is, by the kind of the gate. */
export const gated: ReadonlyMap<string, ActivationAttributes> = new Map<string, ActivationAttributes>([
  ['sigmoid', { kind: 'silu' }],
  ['hard-sigmoid', { kind: 'hard-swish' }],
])

function hardSigmoid(attributes: Attributes): ActivationAttributes {
  const [alpha, beta] = [attributes.float('alpha', 0.2), attributes.float('beta', 0.5)]
  if (decimal(alpha) === decimal(1 / 6) && beta === 0.5) return { kind: 'hard-sigmoid' }
  throw new Unsupported(`HardSigmoid with alpha ${decimal(alpha)} and beta ${decimal(beta)}`)
}

function selu(attributes: Attributes): ActivationAttributes {
  const [alpha, gamma] = [attributes.float('alpha', 1.67326), attributes.float('gamma', 1.0507)]
  if (Math.abs(alpha - 1.67326) < 1e-4 && Math.abs(gamma - 1.0507) < 1e-4) return { kind: 'selu' }
  throw new Unsupported(`Selu with alpha ${decimal(alpha)} and gamma ${decimal(gamma)}`)
}
