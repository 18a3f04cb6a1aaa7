// A solved head is at the least value of its loss: no weight can be changed to make it smaller.
import { afterAll, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import type { Loss } from '../../src/runtime/loss.ts'
import { lossShare } from '../../src/train/targets.ts'
import { createHeadTrainer } from '../../src/transfer/head-trainer.ts'
import { solveHead } from '../../src/transfer/linear-solvers.ts'
import { rowLosses } from '../reference/losses.ts'
import { noise, numericalGradient } from '../support/values.ts'

const engine = createEngine({ threads: 2, simd: 'baseline' })
afterAll(() => engine.close())
const [rows, width, classes] = [60, 4, 3]

test.each(['ce', 'bce', 'mse'] as const)('%s', async (kind) => {
  const loss: Loss = { kind }
  const labels = Int32Array.from({ length: rows }, (_, row) => row % classes)
  const values = noise(rows * width, 5)
  for (const [row, label] of labels.entries()) values[row * width + label] = (values[row * width + label] ?? 0) + 0.7
  const vectors = { values, labels, width, paths: [] }
  const strength = 2
  const classWeights = [0.5, 1, 1.5]
  const trainer = await createHeadTrainer({
    engine,
    signal: undefined,
    vectors,
    classes,
    head: { kind: 'linear' },
    classifier: 'classifier',
    loss,
    seed: 0,
    batchSize: 8,
    microBatch: 8,
    sampler: 'all',
    dropping: { dropout: 0, dropConnect: 0, paths: new Map() },
    stepVectors: 8,
    space: { pca: null, whiten: false },
  })
  await solveHead(trainer, { engine, solver: 'lbfgs', strength, classes, classWeights, seed: 0 })
  const weight = trainer.store.read('classifier.weight').data
  const bias = trainer.store.read('classifier.bias').data
  trainer.close()

  const columns = Array.from({ length: width }, (_, column) => values.filter((__, at) => at % width === column))
  const means = columns.map((column) => column.reduce((a, b) => a + b) / rows)
  const deviations = columns.map((column, at) =>
    Math.sqrt(column.reduce((total, value) => total + (value - (means[at] ?? 0)) ** 2, 0) / rows),
  )
  const input = (row: number, f: number) => ((values[row * width + f] ?? 0) - (means[f] ?? 0)) / (deviations[f] ?? 1)
  const shares = new Float32Array(rows * classes)
  for (const [row, label] of labels.entries()) shares[row * classes + label] = 1
  const cost = (w: ArrayLike<number>) => {
    const outputs = Float64Array.from({ length: rows * classes }, (_, at) => {
      const [row, c] = [Math.floor(at / classes), at % classes]
      let output = w[classes * width + c] ?? 0
      for (let f = 0; f < width; f++) output += (w[c * width + f] ?? 0) * input(row, f)
      return output
    })
    const each = rowLosses(loss, outputs, shares, classes)
    const mean = each.reduce((total, value, row) => total + value * (classWeights[row % classes] ?? 0), 0) / rows
    let squares = 0
    for (let at = 0; at < classes * width; at++) squares += (w[at] ?? 0) ** 2
    return lossShare(loss, classes) * mean + squares / (2 * strength * rows)
  }
  const found = Float64Array.of(...weight, ...bias)
  const slopes = numericalGradient(cost, found)
  const atZero = numericalGradient(cost, new Float64Array(found.length))
  const size = (gradient: ArrayLike<number>) => Math.hypot(...Array.from(gradient))
  expect(size(slopes)).toBeLessThan(1e-4 * size(atZero))
})
