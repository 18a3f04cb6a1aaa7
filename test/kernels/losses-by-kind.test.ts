// The losses beside cross-entropy, which has a test of its own.

import { describe, expect, test } from 'vitest'
import type { Place } from '../../src/ops/op.ts'
import { type Loss, lossCall } from '../../src/runtime/loss.ts'
import { rowLosses, softmax } from '../reference/losses.ts'
import { Bench, builds } from '../support/kernels.ts'
import { hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { excess, noise, numericalGradient, pad, padded, padding, ranges, unpad } from '../support/values.ts'

const losses: readonly Loss[] = [
  { kind: 'ce' },
  { kind: 'bce' },
  { kind: 'quadratic' },
  { kind: 'mse' },
  { kind: 'hinge', margin: 1, power: 1 },
  { kind: 'hinge', margin: 0.5, power: 2 },
  { kind: 'focal', gamma: 2 },
  { kind: 'focal', gamma: 0.5 },
  { kind: 'focal', gamma: 0 },
  { kind: 'l1' },
  { kind: 'smooth-l1', beta: 0.5 },
  { kind: 'huber', delta: 0.7 },
  { kind: 'sigmoid-focal', gamma: 2, alpha: 0.25 },
  { kind: 'sigmoid-focal', gamma: 0.5, alpha: 0.5 },
  { kind: 'sigmoid-focal', gamma: 0, alpha: 0.5 },
  { kind: 'bce', positives: [1, 2, 0.5, 3, 1, 7, 1, 1, 0.25, 1, 1, 1, 9, 1, 1, 1, 4] },
]

const nameOf = ({ kind, ...settings }: Loss) => [kind, ...Object.values(settings).flat()].join(' ')

function run(
  bench: Bench,
  loss: Loss,
  x: Float32Array,
  targets: Float32Array,
  weights: Float32Array | undefined,
  C: number,
  cuts: readonly number[] = [],
) {
  const [S, rows] = [padded(C), x.length / C]
  const [xAt, targetsAt] = [bench.place(pad(x, C)), bench.place(pad(targets, C))]
  const weightsAt = weights ? bench.place(weights) : 0
  const [lossesAt, dLogits] = [bench.room(rows), bench.room(rows * S)]
  const at = (address: number): Place => ({
    block: { name: '', fixedBytes: 0, bytesPerImage: 0 },
    offsetBytes: address,
  })
  const compute = (lossesTo: number, gradientTo: number, from: number, to: number) => {
    const { kernel, args } = lossCall(loss, {
      logits: at(xAt),
      targets: at(targetsAt),
      weights: at(weightsAt),
      losses: at(lossesTo),
      dLogits: at(gradientTo),
      constant: (values) => at(bench.place(pad(Float32Array.from(values).subarray(0, C), C))),
      classes: C,
      stride: S,
    })
    const numbers = args.map((each) =>
      typeof each === 'object' && 'offsetBytes' in each ? each.offsetBytes : Number(each),
    )
    bench.run(kernel, ...numbers, from, to)
  }
  for (const [from, to] of ranges(rows, cuts)) compute(lossesAt, dLogits, from, to)
  const gradient = bench.floats(dLogits, rows * S)
  // Without a gradient the losses are the same.
  const alone = bench.room(rows)
  compute(alone, 0, 0, rows)
  return {
    losses: bench.floats(lossesAt, rows),
    alone: bench.floats(alone, rows),
    dLogits: unpad(gradient, C),
    padding: padding(gradient, C),
  }
}

/** Rows of shares; the first has a single label. */
function sharesOf(rows: number, C: number): Float32Array {
  const shares = noise(rows * C, 7).map((value) => value + 1)
  shares.fill(0, 0, C)
  shares[C >> 1] = 1
  for (let row = 1; row < rows; row++) {
    const own = shares.subarray(row * C, (row + 1) * C)
    const total = own.reduce((a, b) => a + b, 0)
    for (const [c, share] of own.entries()) own[c] = share / total
  }
  return shares
}

describe.each(builds)('losses (%s)', (build) => {
  const bench = new Bench(build)
  const ROWS = 6
  const cases = losses.flatMap((loss) => [1, 2, 3, 4, 5, 17].map((C) => [nameOf(loss), C, loss] as const))

  test.each(cases)('%s of %i outputs agrees with the plain loop, its gradient with differences', (_, C, loss) => {
    bench.clear()
    const x = noise(ROWS * C, 1).map((value) => value * 4)
    const shares = sharesOf(ROWS, C)
    const weights = noise(ROWS, 3).map((value) => value + 1)
    const got = run(bench, loss, x, shares, weights, C)
    const weighted = (values: ArrayLike<number>) =>
      rowLosses(loss, values, shares, C).map((value, row) => value * (weights[row] ?? Number.NaN))
    expect(excess(got.losses, weighted(x), 2e-6)).toBeLessThan(1e-6)
    const slopes = numericalGradient((values) => weighted(values).reduce((a, b) => a + b), Float64Array.from(x))
    expect(excess(got.dLogits, slopes, 3e-6)).toBeLessThan(1e-6)
    expect(got.padding.every((value) => value === 0)).toBe(true)
    expect(got.alone).toEqual(got.losses)
    expect(run(bench, loss, x, shares, weights, C, [1, 2, 4])).toEqual(got)
    const unweighted = run(bench, loss, x, shares, undefined, C)
    expect(run(bench, loss, x, shares, new Float32Array(ROWS).fill(1), C)).toEqual(unweighted)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each(losses.map((loss) => [nameOf(loss), loss] as const))(
    '%s: outputs of any size, and NaN shows',
    (_, loss) => {
      bench.clear()
      const size = ['mse', 'hinge', 'smooth-l1', 'huber'].includes(loss.kind) ? 1e15 : 1e30
      const x = Float32Array.of(size, -size, 0, 300, 301, 290, Number.NaN, 0, 0, 0, Number.NaN, 0)
      const targets = Float32Array.of(1, 0, 0, 0.5, 0.5, 0, 1, 0, 0, 1, 0, 0)
      const got = run(bench, loss, x, targets, undefined, 3)
      const expected = rowLosses(loss, x, targets, 3)
      expect(excess(got.losses.subarray(0, 2), expected.subarray(0, 2), 1e-5)).toBeLessThan(1e-6)
      expect([...got.dLogits.subarray(0, 6)].every(Number.isFinite)).toBe(true)
      expect([...got.losses.subarray(2)]).toEqual([Number.NaN, Number.NaN])
    },
  )

  test('focal loss keeps its digits where the picture is known well', () => {
    bench.clear()
    // 1 - p is 6e-7: 1 minus an f32 would have one digit of it.
    const got = run(
      bench,
      { kind: 'focal', gamma: 1 },
      Float32Array.of(15, 0, 0),
      Float32Array.of(1, 0, 0),
      undefined,
      3,
    )
    const q = 2 * Math.exp(-15)
    expect(Math.abs((got.losses[0] ?? 0) / (q * q) - 1)).toBeLessThan(1e-5)
  })
})

describe.skipIf(!hasOracle).each(builds)('losses against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  const labelled = (recorded: OracleCase, rows: number, C: number): Float32Array => {
    const targets = new Float32Array(rows * C)
    for (const [row, label] of recorded.tensor('labels').values.entries()) targets[row * C + label] = 1
    return targets
  }

  function lossOf(recorded: OracleCase): Loss {
    if (recorded.has('pos_weight')) return { kind: 'bce', positives: [...recorded.tensor('pos_weight').values] }
    if (recorded.name.startsWith('loss_bce')) return { kind: 'bce' }
    if (recorded.name.startsWith('loss_l1')) return { kind: 'l1' }
    if (recorded.name.startsWith('loss_smooth_l1')) return { kind: 'smooth-l1', beta: recorded.number('beta') }
    if (recorded.name.startsWith('loss_huber')) return { kind: 'huber', delta: recorded.number('delta') }
    if (recorded.name === 'loss_focal_sigmoid')
      return { kind: 'sigmoid-focal', gamma: recorded.number('gamma'), alpha: recorded.number('alpha') }
    if (recorded.name.startsWith('loss_mse')) return { kind: 'mse' }
    if (recorded.name.startsWith('loss_quadratic')) return { kind: 'quadratic' }
    if (recorded.name.startsWith('loss_focal')) return { kind: 'focal', gamma: recorded.number('gamma') }
    return { kind: 'hinge', margin: recorded.number('margin'), power: recorded.number('p') === 2 ? 2 : 1 }
  }

  /** What each picture counts, from the reduction that is recorded. */
  function weightsOf(recorded: OracleCase, rows: number, C: number): Float32Array {
    const said = String(recorded.config['reduction'] ?? recorded.config['formula'])
    const perOutput = said.includes('all N*C elements') || said.includes('1/C')
    const share = said === 'sum' ? 1 : 1 / rows / (perOutput ? C : 1)
    const labels = recorded.has('class_weights') ? recorded.tensor('labels').values : undefined
    const classWeights = labels ? recorded.tensor('class_weights').values : undefined
    return Float32Array.from({ length: rows }, (_, row) => share * (classWeights?.[labels?.[row] ?? -1] ?? 1))
  }

  const recordings = oracleCases(/^loss_/).filter(({ name }) => !/cross_entropy|distillation|_none$/.test(name))

  test('all of them are there', () => {
    expect(recordings).toHaveLength(23)
  })

  test('loss_bce_logits_none: single terms, as rows of one output', () => {
    bench.clear()
    const [recorded] = oracleCases(/^loss_bce_logits_none$/)
    if (!recorded) throw new Error('the case is missing')
    const floats = (name: string) => Float32Array.from(recorded.tensor(name).values)
    const [x, targets] = [floats('logits'), floats('target')]
    const { losses } = run(bench, { kind: 'bce' }, x, targets, undefined, 1)
    expect(recorded.excess('output', losses)).toBeLessThanOrEqual(0)
    const { dLogits } = run(bench, { kind: 'bce' }, x, targets, floats('cotangent'), 1)
    expect(recorded.excess('grad_logits', dLogits)).toBeLessThanOrEqual(0)
  })

  test('loss_kl_distillation: cross-entropy of soft targets, less their entropy', () => {
    bench.clear()
    const [recorded] = oracleCases(/^loss_kl_distillation$/)
    if (!recorded) throw new Error('the case is missing')
    const temperature = recorded.number('temperature')
    const [rows = 0, C = 0] = recorded.tensor('student').shape
    const soft = softmax(
      recorded.tensor('teacher').values.map((value) => value / temperature),
      C,
    )
    const student = Float32Array.from(recorded.tensor('student').values, (value) => value / temperature)
    const weights = new Float32Array(rows).fill(temperature ** 2 / rows)
    const got = run(bench, { kind: 'ce' }, student, Float32Array.from(soft), weights, C)
    const entropy = soft.reduce((sum, q) => sum - q * Math.log(q), 0)
    const loss = got.losses.reduce((a, b) => a + b) - (temperature ** 2 / rows) * entropy
    expect(recorded.excess('output', [loss])).toBeLessThanOrEqual(0)
    expect(
      recorded.excess(
        'grad_student',
        got.dLogits.map((slope) => slope / temperature),
      ),
    ).toBeLessThanOrEqual(0)
  })

  test.each(recordings)('$name', (recorded) => {
    bench.clear()
    const input = ['logits', 'prediction', 'z', 'scores'].find((name) => recorded.has(name)) ?? ''
    const [rows = 0, C = 0] = recorded.tensor(input).shape
    const x = Float32Array.from(recorded.tensor(input).values)
    const targets = recorded.has('target')
      ? Float32Array.from(recorded.tensor('target').values)
      : labelled(recorded, rows, C)
    const got = run(bench, lossOf(recorded), x, targets, weightsOf(recorded, rows, C), C)
    expect(recorded.excess('output', [got.losses.reduce((a, b) => a + b)])).toBeLessThanOrEqual(0)
    expect(recorded.excess(`grad_${input}`, got.dLogits)).toBeLessThanOrEqual(0)
  })
})
