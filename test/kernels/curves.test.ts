// The curves of assembly/curves, each against its formula in float64 and against recorded results.

import { describe, expect, test } from 'vitest'
import type { ActivationAttributes } from '../../src/ops/activation.ts'
import { activated } from '../../src/reference/activations.ts'
import { isSmoothAt, slope } from '../reference/activations.ts'
import { Bench, builds } from '../support/kernels.ts'
import { hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { noise, ranges } from '../support/values.ts'

interface Curve {
  readonly attrs: ActivationAttributes
  /** As the kernels have it: number, a, b, and what the slope is told from. */
  readonly code: number
  readonly a?: number
  readonly b?: number
  readonly sees: 'x' | 'y'
  /** Worst error in units of the last place, for x between -16 and 16. */
  readonly ulps: number
  /** Worst error of the slope. */
  readonly slopeError: number
}

// ULP bounds are what the docstrings say, multiplied on. Where the argument of an exponential is itself rounded (gelu-tanh), the far
// tail loses digits in proportion to it.
const curves: readonly Curve[] = [
  { attrs: { kind: 'leaky-relu', slope: 0.125 }, code: 0, a: 0.125, sees: 'y', ulps: 0.5, slopeError: 0 },
  { attrs: { kind: 'leaky-relu', slope: 0 }, code: 0, a: 0, sees: 'y', ulps: 0, slopeError: 0 },
  { attrs: { kind: 'hard-sigmoid' }, code: 1, sees: 'y', ulps: 1.1, slopeError: 1e-8 },
  { attrs: { kind: 'hard-tanh' }, code: 2, sees: 'y', ulps: 0, slopeError: 0 },
  { attrs: { kind: 'hard-swish' }, code: 3, sees: 'x', ulps: 2, slopeError: 2e-7 },
  { attrs: { kind: 'elu' }, code: 4, a: 1, b: 1, sees: 'y', ulps: 2, slopeError: 1e-7 },
  { attrs: { kind: 'elu', alpha: 0.5 }, code: 4, a: 0.5, b: 1, sees: 'y', ulps: 2, slopeError: 1e-7 },
  {
    attrs: { kind: 'selu' },
    code: 4,
    a: 1.6732632423543772,
    b: 1.0507009873554805,
    sees: 'y',
    ulps: 3,
    slopeError: 4e-7,
  },
  { attrs: { kind: 'sigmoid' }, code: 5, sees: 'y', ulps: 2.5, slopeError: 1e-7 },
  { attrs: { kind: 'tanh' }, code: 6, sees: 'y', ulps: 2.5, slopeError: 2.5e-7 },
  { attrs: { kind: 'softsign' }, code: 7, sees: 'y', ulps: 1.6, slopeError: 1.5e-7 },
  { attrs: { kind: 'softplus' }, code: 8, a: 1, sees: 'x', ulps: 3, slopeError: 1.5e-7 },
  { attrs: { kind: 'softplus', beta: 2 }, code: 8, a: 2, sees: 'x', ulps: 3, slopeError: 1.5e-7 },
  { attrs: { kind: 'silu' }, code: 9, sees: 'x', ulps: 3.5, slopeError: 2e-6 },
  { attrs: { kind: 'gelu' }, code: 10, sees: 'x', ulps: 9, slopeError: 4e-7 },
  { attrs: { kind: 'gelu-tanh' }, code: 11, sees: 'x', ulps: 250, slopeError: 4e-6 },
  { attrs: { kind: 'mish' }, code: 12, sees: 'x', ulps: 4.5, slopeError: 4e-7 },
]

const nameOf = ({ attrs }: Curve) => Object.values(attrs).join(' ')
const SMALLEST_NORMAL = 2 ** -126

function forward(bench: Bench, { code, a = 0, b = 0 }: Curve, x: Float32Array, cuts: readonly number[] = []) {
  const [xAt, y] = [bench.place(x), bench.room(x.length)]
  for (const [from, to] of ranges(x.length / 4, cuts)) bench.run('curveForward', xAt, y, code, a, b, from, to)
  return { xAt, yAt: y, y: bench.floats(y, x.length) }
}

describe.each(builds)('curves (%s)', (build) => {
  const bench = new Bench(build)
  const count = 1 << 14
  const wide = Float32Array.from({ length: count }, (_, i) => -16 + (32 * (i + 0.37)) / count)
  const near = noise(count, 1)
  const tiny = noise(1024, 2).map((value) => value * 1e-4)

  test.each(curves.map((curve) => [nameOf(curve), curve] as const))('%s keeps its digits', (_, curve) => {
    for (const x of [wide, near, tiny]) {
      bench.clear()
      const { y } = forward(bench, curve, x)
      let worst = 0
      for (const [i, value] of x.entries()) {
        const exact = activated(curve.attrs, value)
        const unit = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(exact), SMALLEST_NORMAL))) - 23)
        worst = Math.max(worst, Math.abs((y[i] ?? Number.NaN) - exact) / unit)
      }
      expect(worst).toBeLessThanOrEqual(curve.ulps)
    }
  })

  test.each(curves.map((curve) => [nameOf(curve), curve] as const))(
    '%s has the slope of its formula, written or added',
    (_, curve) => {
      bench.clear()
      const x = wide.filter((value) => isSmoothAt(curve.attrs, value)).subarray(0, 8192)
      const dy = noise(x.length, 3)
      const before = noise(x.length, 4)
      const { xAt, yAt } = forward(bench, curve, x)
      const seen = curve.sees === 'x' ? xAt : yAt
      const [dyAt, dx, added] = [bench.place(dy), bench.room(x.length), bench.place(before)]
      const { code, a = 0, b = 0 } = curve
      for (const [from, to] of ranges(x.length / 4, [1, 2, 77, 1000])) {
        bench.run('curveBackward', seen, dyAt, dx, code, a, b, 0, from, to)
        bench.run('curveBackward', seen, dyAt, added, code, a, b, 1, from, to)
      }
      const got = bench.floats(dx, x.length)
      let worst = 0
      for (const [i, value] of x.entries()) {
        const expected = slope(curve.attrs, value) * (dy[i] ?? 0)
        worst = Math.max(worst, Math.abs((got[i] ?? Number.NaN) - expected))
      }
      // 2e-9 is what the differences of the reference leave.
      expect(worst).toBeLessThan(curve.slopeError + 2e-9)
      expect(bench.floats(added, x.length)).toEqual(got.map((value, i) => Math.fround(value + (before[i] ?? 0))))
      bench.run('curveBackward', seen, dyAt, dyAt, code, a, b, 0, 0, x.length / 4)
      expect(bench.floats(dyAt, x.length)).toEqual(got)
      expect(bench.guardsIntact()).toBe(true)
    },
  )

  test.each(curves.map((curve) => [nameOf(curve), curve] as const))(
    '%s: bits do not depend on the cuts, and the output may lie over the input',
    (_, curve) => {
      bench.clear()
      const x = noise(68, 5).map((value) => value * 8)
      const { xAt, y } = forward(bench, curve, x)
      expect(forward(bench, curve, x, [1, 2, 3, 5, 9, 16]).y).toEqual(y)
      bench.run('curveForward', xAt, xAt, curve.code, curve.a ?? 0, curve.b ?? 0, 0, 17)
      expect(bench.floats(xAt, 68)).toEqual(y)
      expect(bench.guardsIntact()).toBe(true)
    },
  )

  test.each(curves.map((curve) => [nameOf(curve), curve] as const))('%s takes large numbers and NaN', (_, curve) => {
    bench.clear()
    const x = Float32Array.of(-1e30, -200, -100, -90, 90, 100, 1e30, Number.NaN)
    const { y } = forward(bench, curve, x)
    for (const [i, value] of x.entries()) {
      const exact = activated(curve.attrs, value)
      if (Number.isNaN(exact)) expect(y[i]).toBeNaN()
      else expect(Math.abs((y[i] ?? Number.NaN) - exact)).toBeLessThanOrEqual(1e-6 * Math.abs(exact) + 1e-36)
    }
  })

  test('padding is cleared and nothing else', () => {
    for (const C of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      bench.clear()
      const S = Math.ceil(C / 4) * 4
      const rows = 5
      const x = noise(rows * S, 6)
      const at = bench.place(x)
      for (const [from, to] of ranges(rows, [1, 4])) bench.run('clearPadding', at, C, S, from, to)
      expect(bench.floats(at, rows * S)).toEqual(x.map((value, i) => (i % S < C ? value : 0)))
      expect(bench.guardsIntact()).toBe(true)
    }
  })
})

describe.skipIf(!hasOracle).each(builds)('curves against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  const kinds: Readonly<Record<string, string>> = {
    leaky_relu: 'leaky-relu',
    hardsigmoid: 'hard-sigmoid',
    hardtanh: 'hard-tanh',
    hardswish: 'hard-swish',
    gelu_erf: 'gelu',
    gelu_tanh: 'gelu-tanh',
  }

  function curveFor(recorded: OracleCase): Curve | undefined {
    const recordedKind = recorded.name.replace(/^act_/, '').replace(/(_(alpha|beta)?[\d.]+)?(_edges)?$/, '')
    const kind = kinds[recordedKind] ?? recordedKind
    const curve = curves.find(({ attrs }) => attrs.kind === kind)
    const own = ['slope', 'alpha', 'beta'].find((name) => name in recorded.config)
    return curve && own !== undefined ? { ...curve, a: recorded.number(own) } : curve
  }

  const recordings = oracleCases(/^act_/).filter((recorded) => curveFor(recorded) !== undefined)

  test('all that are curves are there', () => {
    expect(recordings).toHaveLength(34)
  })

  test.each(recordings)('$name', (recorded) => {
    bench.clear()
    const curve = curveFor(recorded)
    if (!curve) throw new Error('filtered above')
    const { values } = recorded.tensor('x')
    const padded = new Float32Array(Math.ceil(values.length / 4) * 4)
    padded.set(values)
    const { xAt, yAt, y } = forward(bench, curve, padded)
    expect(recorded.excess('output', y.subarray(0, values.length))).toBeLessThanOrEqual(0)
    if (!recorded.has('cotangent')) return
    padded.set(recorded.tensor('cotangent').values)
    const dx = bench.place(padded)
    const { code, a = 0, b = 0, sees } = curve
    bench.run('curveBackward', sees === 'x' ? xAt : yAt, dx, dx, code, a, b, 0, 0, padded.length / 4)
    expect(recorded.excess('grad_x', bench.floats(dx, values.length))).toBeLessThanOrEqual(0)
  })
})
