import { describe, expect, test } from 'vitest'
import { crossEntropies, crossEntropyGradient, softmax } from '../reference/losses.ts'
import { Bench, builds } from '../support/kernels.ts'
import { hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { excess, noise, numericalGradient, pad, padded, padding, ranges, unpad } from '../support/values.ts'

const classes = [1, 2, 3, 4, 5, 7, 16, 17, 1000] as const
const ROWS = 5

/** Rows of positive targets; the last row is empty, as for an ignored sample. */
function targetsOf(C: number): Float32Array {
  return noise(ROWS * C, 7).map((value, i) => (i < (ROWS - 1) * C ? (value + 1) / C : 0))
}

function lossOf(bench: Bench, x: Float32Array, targets: Float32Array, C: number, cuts: readonly number[] = []) {
  const [S, rows] = [padded(C), x.length / C]
  const [xAt, targetsAt] = [bench.place(pad(x, C)), bench.place(pad(targets, C))]
  const [losses, dLogits] = [bench.room(rows), bench.room(rows * S)]
  for (const [from, to] of ranges(rows, cuts)) {
    bench.run('softmaxCrossEntropy', xAt, targetsAt, 0, losses, dLogits, C, S, from, to)
  }
  const gradient = bench.floats(dLogits, rows * S)
  return { losses: bench.floats(losses, rows), dLogits: unpad(gradient, C), padding: padding(gradient, C) }
}

describe.each(builds)('softmax and cross entropy (%s)', (build) => {
  const bench = new Bench(build)

  test.each(classes)('softmax over %i classes agrees with the plain loop, in place too', (C) => {
    bench.clear()
    const S = padded(C)
    const x = noise(ROWS * C, 1).map((value) => value * 8)
    const [xAt, y] = [bench.place(pad(x, C)), bench.room(ROWS * S)]
    for (const [from, to] of ranges(ROWS, [1, 3])) bench.run('softmax', xAt, y, C, S, from, to)
    const got = bench.floats(y, ROWS * S)
    expect(excess(unpad(got, C), softmax(x, C), 1e-6)).toBeLessThan(1e-9)
    expect(padding(got, C).every((value) => value === 0)).toBe(true)
    bench.run('softmax', xAt, xAt, C, S, 0, ROWS)
    expect(bench.floats(xAt, ROWS * S)).toEqual(got)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each(classes)('cross entropy over %i classes agrees with the plain loop', (C) => {
    bench.clear()
    const x = noise(ROWS * C, 1).map((value) => value * 8)
    const targets = targetsOf(C)
    const got = lossOf(bench, x, targets, C)
    expect(excess(got.losses, crossEntropies(x, targets, C), 1e-6)).toBeLessThan(1e-6)
    expect(excess(got.dLogits, crossEntropyGradient(x, targets, C), 2e-6)).toBeLessThan(1e-7)
    expect(got.padding.every((value) => value === 0)).toBe(true)
    expect(lossOf(bench, x, targets, C, [1, 2, 4])).toEqual(got)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('the gradient is optional, and may be written over the logits', () => {
    bench.clear()
    const C = 6
    const [x, targets] = [noise(ROWS * C, 1), targetsOf(C)]
    const expected = lossOf(bench, x, targets, C)
    const [xAt, targetsAt, losses] = [bench.place(pad(x, C)), bench.place(pad(targets, C)), bench.room(ROWS)]
    bench.run('softmaxCrossEntropy', xAt, targetsAt, 0, losses, 0, C, 8, 0, ROWS)
    expect(bench.floats(losses, ROWS)).toEqual(expected.losses)
    expect(unpad(bench.floats(xAt, ROWS * 8), C)).toEqual(x)
    bench.run('softmaxCrossEntropy', xAt, targetsAt, 0, losses, xAt, C, 8, 0, ROWS)
    expect(bench.floats(losses, ROWS)).toEqual(expected.losses)
    expect(unpad(bench.floats(xAt, ROWS * 8), C)).toEqual(expected.dLogits)
  })

  test('logits of any size give finite losses, and NaN stays NaN', () => {
    bench.clear()
    const x = Float32Array.of(1e38, -1e38, 0, 30000, 30001, 29000, Number.NEGATIVE_INFINITY, 1, 2, Number.NaN, 0, 0)
    const targets = Float32Array.of(1, 0, 0, 0.5, 0.5, 0, 0, 0.25, 0.75, 1, 0, 0)
    const got = lossOf(bench, x, targets, 3)
    expect(got.losses[0]).toBe(0)
    const finite = (values: Float32Array, width: number) => values.subarray(0, 3 * width)
    expect(excess(finite(got.losses, 1), crossEntropies(x, targets, 3).subarray(0, 3), 1e-6)).toBeLessThan(1e-6)
    expect(excess(finite(got.dLogits, 3), crossEntropyGradient(x, targets, 3).subarray(0, 9))).toBeLessThan(1e-6)
    expect(got.losses[3]).toBeNaN()
    expect([...got.dLogits.subarray(9)].every(Number.isNaN)).toBe(true)
  })
})

describe('the plain loop of cross entropy', () => {
  test('has the gradient of finite differences', () => {
    const x = Float64Array.from(noise(12, 1))
    const targets = noise(12, 2).map((value) => value + 1)
    const numerical = numericalGradient((values) => crossEntropies(values, targets, 4).reduce((a, b) => a + b), x)
    expect(excess(crossEntropyGradient(x, targets, 4), numerical)).toBeLessThan(1e-8)
  })
})

describe.skipIf(!hasOracle).each(builds)('cross entropy against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  /** Smoothing, class weights, ignored labels and the reduction, folded into soft targets. */
  function hardTargets(recorded: OracleCase, C: number): Float32Array {
    const smoothing = recorded.number('label_smoothing')
    const weights = recorded.has('class_weights')
      ? recorded.tensor('class_weights').values
      : new Float32Array(C).fill(1)
    const labels = [...recorded.tensor('labels').values]
    const kept = labels.map((label) => (label === recorded.config['ignore_index'] ? 0 : 1))
    const total = labels.reduce((sum, label, i) => sum + (kept[i] ? (weights[label] ?? 0) : 0), 0)
    const cotangent = recorded.has('cotangent') ? recorded.tensor('cotangent').values : []
    const share = recorded.config['reduction'] === 'mean' ? 1 / total : 1
    return Float32Array.from({ length: labels.length * C }, (_, i) => {
      const [row, c] = [Math.floor(i / C), i % C]
      const hit = labels[row] === c ? 1 - smoothing : 0
      return (kept[row] ?? 0) * (weights[c] ?? 0) * (hit + smoothing / C) * share * (cotangent[row] ?? 1)
    })
  }

  function softTargets(recorded: OracleCase, C: number): Float32Array {
    const smoothing = recorded.number('label_smoothing')
    const { values } = recorded.tensor('target')
    const share = recorded.config['reduction'] === 'mean' ? C / values.length : 1
    return Float32Array.from(values, (value) => (value * (1 - smoothing) + smoothing / C) * share)
  }

  test.each(oracleCases(/^loss_(soft_)?cross_entropy_/))('$name', (recorded) => {
    bench.clear()
    const [rows = 0, C = 0] = recorded.tensor('logits').shape
    const x = Float32Array.from(recorded.tensor('logits').values)
    const targets = recorded.has('target') ? softTargets(recorded, C) : hardTargets(recorded, C)
    const got = lossOf(bench, x, targets, C)
    expect(recorded.excess('grad_logits', got.dLogits)).toBeLessThanOrEqual(0)
    if (recorded.config['reduction'] === 'none') {
      const cotangent = recorded.tensor('cotangent').values
      const losses = got.losses.map((loss, row) => loss / (cotangent[row] ?? 0))
      expect(recorded.excess('output', losses)).toBeLessThanOrEqual(0)
    } else {
      expect(got.losses).toHaveLength(rows)
      expect(recorded.excess('output', [got.losses.reduce((a, b) => a + b)])).toBeLessThanOrEqual(0)
    }
  })
})
