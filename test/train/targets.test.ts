import { describe, expect, test } from 'vitest'
import type { Loss } from '../../src/runtime/loss.ts'
import { labelLoss } from '../../src/train/label-loss.ts'
import { balancedWeights, targetsOfLabels, targetsOfShares } from '../../src/train/targets.ts'
import { rowLosses } from '../reference/losses.ts'
import { excess, noise } from '../support/values.ts'

const losses: readonly Loss[] = [
  { kind: 'ce' },
  { kind: 'bce' },
  { kind: 'quadratic' },
  { kind: 'mse' },
  { kind: 'hinge', margin: 1, power: 1 },
  { kind: 'hinge', margin: 1, power: 2 },
  { kind: 'focal', gamma: 2 },
  { kind: 'l1' },
  { kind: 'smooth-l1', beta: 0.5 },
  { kind: 'huber', delta: 0.7 },
  { kind: 'sigmoid-focal', gamma: 2, alpha: 0.25 },
  { kind: 'bce', positives: [0.5, 2, 3, 1, 4] },
]
const ce: Loss = { kind: 'ce' }
const labels = Int32Array.of(2, 0, 2, 1)
const classes = 3

/** The loss of a batch as the kernels compute it. */
function batchLoss(loss: Loss, x: Float32Array, { values, weights }: ReturnType<typeof targetsOfLabels>): number {
  return rowLosses(loss, x, values, classes).reduce((sum, value, row) => sum + value * (weights[row] ?? 0), 0)
}

describe('targets', () => {
  const x = noise(labels.length * classes, 1)

  test.each(losses)('of hard labels give the mean of the losses: $kind', (loss) => {
    const targets = targetsOfLabels(labels, { loss, classes, smoothing: 0, pictures: labels.length })
    const mean =
      labels.reduce((sum, label, row) => {
        return sum + labelLoss(loss, x.subarray(row * classes, (row + 1) * classes), label)
      }, 0) / labels.length
    expect(Math.abs(batchLoss(loss, x, targets) - mean)).toBeLessThan(1e-7)
  })

  test.each(losses)('of two halves of a step add up to those of the whole: $kind', (loss) => {
    const options = { loss, classes, smoothing: 0.1, pictures: labels.length }
    const whole = targetsOfLabels(labels, options)
    const first = targetsOfLabels(labels.subarray(0, 2), options)
    const second = targetsOfLabels(labels.subarray(2), options)
    expect([...first.values, ...second.values]).toEqual([...whole.values])
    expect([...first.weights, ...second.weights]).toEqual([...whole.weights])
  })

  test('are smoothed over all classes', () => {
    const { values } = targetsOfLabels(Int32Array.of(1), { loss: ce, classes, smoothing: 0.3, pictures: 1 })
    expect(excess(values, [0.1, 0.8, 0.1])).toBeLessThan(1e-7)
  })

  test('weigh each class: term by term in cross-entropy, else picture by picture', () => {
    const classWeights = [2, 0.5, 0.75]
    const shares = Float32Array.of(0, 0.5, 0.5)
    const common = { classes, classWeights, smoothing: 0, pictures: 1 }
    const terms = targetsOfShares(shares, { ...common, loss: ce })
    expect([[...terms.values], [...terms.weights]]).toEqual([[0, 0.25, 0.375], [1]])
    const pictures = targetsOfShares(shares, { ...common, loss: { kind: 'bce' } })
    expect([[...pictures.values], [...pictures.weights]]).toEqual([[0, 0.5, 0.5], [0.625]])
  })

  test('balanced weights let every class count alike', () => {
    const counts = [10, 30, 60]
    const weights = balancedWeights(counts)
    const costs = counts.map((count, label) => count * (weights[label] ?? 0))
    for (const cost of costs) expect(cost).toBeCloseTo(100 / 3, 12)
  })
})

describe('the loss of a label', () => {
  test.each(losses)('is that of the plain loop: $kind', (loss) => {
    const x = noise(30, 2).map((value) => value * 6)
    const share = ['mse', 'l1', 'smooth-l1', 'huber', 'hinge'].includes(loss.kind) ? 1 / 5 : 1
    for (let row = 0; row < 6; row++) {
      const own = x.subarray(row * 5, row * 5 + 5)
      const oneHot = Float32Array.from({ length: 5 }, (_, c) => (c === row % 5 ? 1 : 0))
      const [expected = Number.NaN] = rowLosses(loss, own, oneHot, 5)
      expect(labelLoss(loss, own, row % 5)).toBeCloseTo(expected * share, 12)
    }
  })
})
