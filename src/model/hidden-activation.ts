// The names of the activations in the hidden layers of a head, as people and regraft.json write them.
import { type ActivationAttributes, type ActivationKind, activationKinds } from '../ops/activation.ts'
import type { PreluAttributes } from '../ops/prelu.ts'

/** What comes after a hidden layer. */
export type HiddenActivation = ActivationAttributes | ({ readonly kind: 'prelu' } & PreluAttributes)

/** What is taken when nothing is said. */
export const usualActivation = 'relu'

/** All names; three of them take a number behind a colon, and `prelu` one slope for all units. */
export const activationNames: readonly string[] = [...activationKinds.filter((kind) => kind !== 'none'), 'prelu']

/**
 * Reads 'gelu', 'leaky-relu:0.1', 'elu:1', 'softplus:2', 'prelu' or 'prelu:shared'; PyTorch's spelling without hyphens passes, too.
 * @returns undefined for what is none of these
 */
export function hiddenActivation(text: string): HiddenActivation | undefined {
  const [name = '', ...rest] = text.toLowerCase().split(':')
  const kind = activationNames.find((known) => plain(known) === plain(name))
  if (kind === undefined || rest.length > 1) return undefined
  const [given] = rest
  if (kind === 'prelu') return given === undefined ? { kind } : given === 'shared' ? { kind, shared: true } : undefined
  if (given === undefined) return { kind: kind as ActivationKind }
  const number = /^\d*\.?\d+(e-?\d+)?$/.test(given) ? Number(given) : Number.NaN
  switch (kind) {
    case 'leaky-relu':
      return number >= 0 && number < 1 ? { kind, slope: number } : undefined
    case 'elu':
      return number > 0 && number <= 100 ? { kind, alpha: number } : undefined
    case 'softplus':
      return number > 0 && number <= 100 ? { kind, beta: number } : undefined
    default:
      return undefined
  }
}

/** The one way in which an activation is written: 'hard-swish', 'elu:0.5'. */
export function activationText(activation: HiddenActivation): string {
  switch (activation.kind) {
    case 'prelu':
      return activation.shared ? 'prelu:shared' : 'prelu'
    case 'leaky-relu':
      return withNumber(activation.kind, activation.slope)
    case 'elu':
      return withNumber(activation.kind, activation.alpha)
    case 'softplus':
      return withNumber(activation.kind, activation.beta)
    default:
      return activation.kind
  }
}

function withNumber(kind: string, number: number | undefined): string {
  return number === undefined ? kind : `${kind}:${number}`
}

function plain(name: string): string {
  return name.replaceAll(/[-_]/g, '')
}
