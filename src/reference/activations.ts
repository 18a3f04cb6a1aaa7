// Activations as plain formulas in float64, from their definitions.
import type { ActivationAttributes } from '../ops/activation.ts'

const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 } as const
/** sqrt(2/pi), of GELU by tanh. */
const GELU_RATE = Math.sqrt(2 / Math.PI)

/** f(x). */
export function activated(attrs: ActivationAttributes, x: number): number {
  switch (attrs.kind) {
    case 'none':
      return x
    case 'relu':
      return Math.max(x, 0)
    case 'relu6':
      return Math.min(Math.max(x, 0), 6)
    case 'leaky-relu':
      return x > 0 ? x : (attrs.slope ?? 0.01) * x
    case 'elu':
      return x > 0 ? x : (attrs.alpha ?? 1) * Math.expm1(x)
    case 'selu':
      return SELU.scale * (x > 0 ? x : SELU.alpha * Math.expm1(x))
    case 'hard-sigmoid':
      return Math.min(Math.max(x + 3, 0), 6) / 6
    case 'hard-tanh':
      return Math.min(Math.max(x, -1), 1)
    case 'hard-swish':
      return (x * Math.min(Math.max(x + 3, 0), 6)) / 6
    case 'sigmoid':
      return logistic(x)
    case 'tanh':
      return Math.tanh(x)
    case 'softsign':
      return x / (1 + Math.abs(x))
    case 'softplus': {
      const beta = attrs.beta ?? 1
      return (Math.max(beta * x, 0) + Math.log1p(Math.exp(-Math.abs(beta * x)))) / beta
    }
    case 'silu':
      return x * logistic(x)
    case 'gelu':
      return x * normalShare(x)
    case 'gelu-tanh':
      // (1 + tanh u)/2 is logistic(2u), without cancellation.
      return x * logistic(2 * GELU_RATE * (x + 0.044715 * x ** 3))
    case 'mish':
      return x * tanhOfSoftplus(x)
  }
}

/** f'(x); at a kink the slope on its lower side. */
export function activationSlope(attrs: ActivationAttributes, x: number): number {
  switch (attrs.kind) {
    case 'none':
      return 1
    case 'relu':
      return x > 0 ? 1 : 0
    case 'relu6':
      return x > 0 && x < 6 ? 1 : 0
    case 'leaky-relu':
      return x > 0 ? 1 : (attrs.slope ?? 0.01)
    case 'elu':
      return x > 0 ? 1 : (attrs.alpha ?? 1) * Math.exp(x)
    case 'selu':
      return SELU.scale * (x > 0 ? 1 : SELU.alpha * Math.exp(x))
    case 'hard-sigmoid':
      return x > -3 && x < 3 ? 1 / 6 : 0
    case 'hard-tanh':
      return x > -1 && x < 1 ? 1 : 0
    case 'hard-swish':
      return x <= -3 ? 0 : x < 3 ? (2 * x + 3) / 6 : 1
    case 'sigmoid':
      return logistic(x) * logistic(-x)
    case 'tanh':
      return 1 - Math.tanh(x) ** 2
    case 'softsign':
      return 1 / (1 + Math.abs(x)) ** 2
    case 'softplus':
      return logistic((attrs.beta ?? 1) * x)
    case 'silu':
      return logistic(x) * (1 + x * logistic(-x))
    case 'gelu':
      return normalShare(x) + x * normalDensity(x)
    case 'gelu-tanh': {
      const u = 2 * GELU_RATE * (x + 0.044715 * x ** 3)
      const du = 2 * GELU_RATE * (1 + 3 * 0.044715 * x ** 2)
      return logistic(u) * (1 + x * logistic(-u) * du)
    }
    case 'mish': {
      const t = tanhOfSoftplus(x)
      return t + x * (1 - t * t) * logistic(x)
    }
  }
}

/** Where the slope jumps. */
export function kinksOf(attrs: ActivationAttributes): readonly number[] {
  switch (attrs.kind) {
    case 'relu':
    case 'leaky-relu':
    case 'selu':
      return [0]
    // At alpha 1 both sides have slope 1.
    case 'elu':
      return attrs.alpha === undefined || attrs.alpha === 1 ? [] : [0]
    case 'relu6':
      return [0, 6]
    case 'hard-sigmoid':
    case 'hard-swish':
      return [-3, 3]
    case 'hard-tanh':
      return [-1, 1]
    default:
      return []
  }
}

/** 1/(1 + e^-x) */
export function logistic(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))
}

/** tanh(log(1 + e^x)), which is ((1 + e)² - 1)/((1 + e)² + 1) with e = e^x. */
function tanhOfSoftplus(x: number): number {
  const e = Math.exp(Math.min(x, 40))
  return (e * (e + 2)) / (e * (e + 2) + 2)
}

function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
}

/** Share of the normal distribution below x: its Taylor series near 0, the continued fraction of the tail beyond. */
export function normalShare(x: number): number {
  const density = normalDensity(x)
  const size = Math.abs(x)
  if (size < 3) {
    let term = x
    let sum = x
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (x * x) / (2 * n + 1)
      sum += term
    }
    return 0.5 + density * sum
  }
  let fraction = size
  for (let n = 200; n >= 1; n--) fraction = size + n / fraction
  const tail = density / fraction
  return x < 0 ? tail : 1 - tail
}
