// Slopes of the activations that know nothing of their derivatives.

import type { ActivationAttributes } from '../../src/ops/activation.ts'
import { activated, kinksOf } from '../../src/reference/activations.ts'

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
