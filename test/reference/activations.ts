// Activations as plain formulas in float64, from their definitions.

import type { ActivationAttributes } from '../../src/ops/activation.ts'

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
      return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))
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
      return x * logistic(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))
    case 'mish': {
      // tanh(log(1 + e)) = ((1 + e)² - 1)/((1 + e)² + 1)
      const e = Math.exp(Math.min(x, 40))
      return (x * (e * (e + 2))) / (e * (e + 2) + 2)
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

/** f'(x) by differences of the fourth order. */
export function slope(attrs: ActivationAttributes, x: number): number {
  const h = 1e-3 * Math.max(1, Math.abs(x) / 10)
  const f = (moved: number) => activated(attrs, moved)
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)
}

/** Whether nothing is as near to x as `slope` looks where the curve is made of two pieces. */
export function isSmoothAt(attrs: ActivationAttributes, x: number): boolean {
  // The pieces of these meet with the same slope.
  const seams = attrs.kind === 'elu' || attrs.kind === 'softsign' ? [0] : []
  return [...kinksOf(attrs), ...seams].every((kink) => Math.abs(x - kink) > 3e-3 * Math.max(1, Math.abs(x) / 10))
}

function logistic(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))
}

/** Share of the normal distribution below x: its Taylor series near 0, the continued fraction of the tail beyond. */
export function normalShare(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
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
