// What the notes show: a saturated sigmoid learns slowly from the quadratic cost, and not from cross-entropy.

import { expect, test } from 'vitest'
import { learn } from './slow-learning.ts'

const at = (outputs: readonly number[], epoch: number): number => outputs[epoch] ?? Number.NaN

test('the quadratic cost ends near 0.09 from a good start', async () => {
  const outputs = await learn({ loss: { kind: 'quadratic' }, rate: 0.15, start: [0.6, 0.9] })
  expect(at(outputs, 0)).toBeCloseTo(0.82, 2)
  expect(Math.abs(at(outputs, 300) - 0.09)).toBeLessThanOrEqual(0.005)
})

test('the quadratic cost has not begun to learn after 150 epochs from a saturated start', async () => {
  const outputs = await learn({ loss: { kind: 'quadratic' }, rate: 0.15, start: [2, 2] })
  expect(at(outputs, 150)).toBeGreaterThan(0.9)
  expect(at(outputs, 300)).toBeLessThan(0.5)
})

test('cross-entropy learns at once from the same start', async () => {
  const outputs = await learn({ loss: { kind: 'bce' }, rate: 0.15, start: [2, 2] })
  expect(at(outputs, 35)).toBeLessThan(0.2)
})

test('cross-entropy falls steadily from the first epoch at a low rate', async () => {
  const outputs = await learn({ loss: { kind: 'bce' }, rate: 0.005, start: [2, 2] })
  const costs = outputs.map((output) => -Math.log(1 - output))
  const falls = costs.slice(1).map((cost, epoch) => at(costs, epoch) - cost)
  // No plateau: the first epochs fall faster than all later ones.
  for (const [epoch, fall] of falls.entries()) {
    expect(fall).toBeGreaterThan(0)
    if (epoch > 0) expect(fall).toBeLessThanOrEqual(at(falls, epoch - 1) + 1e-6)
  }
  expect(at(costs, 0) - at(costs, 300)).toBeGreaterThan(2)
})
