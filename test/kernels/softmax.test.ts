import { describe, expect, test } from 'vitest'
import { softmax } from '../reference/losses.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, oracleCases } from '../support/oracle.ts'
import { excess, noise, pad, padded, padding, ranges, unpad } from '../support/values.ts'

const classes = [1, 2, 3, 4, 5, 7, 16, 17, 1000] as const
const ROWS = 5

type Kind = 'softmax' | 'logSoftmax'

function run(bench: Bench, kind: Kind, x: Float32Array, dy: Float32Array, C: number, cuts: readonly number[] = []) {
  const [S, rows] = [padded(C), x.length / C]
  const [xAt, dyAt] = [bench.place(pad(x, C)), bench.place(pad(dy, C))]
  const [y, dx, added] = [bench.room(rows * S), bench.room(rows * S), bench.place(new Float32Array(rows * S).fill(2))]
  for (const [from, to] of ranges(rows, cuts)) {
    bench.run(kind, xAt, y, C, S, from, to)
    for (const [place, accumulate] of [
      [dx, 0],
      [added, 1],
    ] as const) {
      if (kind === 'softmax') bench.run('softmaxBackward', y, dyAt, place, S, accumulate, from, to)
      else bench.run('logSoftmaxBackward', y, dyAt, place, C, S, accumulate, from, to)
    }
  }
  const [values, gradient, sum] = [y, dx, added].map((place) => bench.floats(place, rows * S))
  if (!values || !gradient || !sum) throw new Error('three places were read')
  // In place: over the input, and over the gradient of the output.
  bench.run(kind, xAt, xAt, C, S, 0, rows)
  if (kind === 'softmax') bench.run('softmaxBackward', y, dyAt, dyAt, S, 0, 0, rows)
  else bench.run('logSoftmaxBackward', y, dyAt, dyAt, C, S, 0, 0, rows)
  return {
    y: unpad(values, C),
    dx: unpad(gradient, C),
    added: unpad(sum, C),
    padding: [...padding(values, C), ...padding(gradient, C)],
    inPlace: [bench.floats(xAt, rows * S), bench.floats(dyAt, rows * S)],
    stored: [values, gradient],
  }
}

/** dx of softmax and of its logarithm, by their formulas. */
function gradientOf(kind: Kind, x: Float32Array, dy: Float32Array, C: number): Float64Array {
  const p = softmax(x, C)
  return p.map((own, i) => {
    const start = Math.floor(i / C) * C
    const row = Array.from({ length: C }, (_, c) => start + c)
    if (kind === 'logSoftmax') return (dy[i] ?? 0) - own * row.reduce((sum, j) => sum + (dy[j] ?? 0), 0)
    return own * ((dy[i] ?? 0) - row.reduce((sum, j) => sum + (p[j] ?? 0) * (dy[j] ?? 0), 0))
  })
}

describe.each(builds)('softmax and its logarithm (%s)', (build) => {
  const bench = new Bench(build)
  const cases = (['softmax', 'logSoftmax'] as const).flatMap((kind) => classes.map((C) => ({ kind, C })))

  test.each(cases)('$kind over $C classes and its gradient agree with the formula, in place too', ({ kind, C }) => {
    bench.clear()
    const [x, dy] = [noise(ROWS * C, 1).map((value) => value * 8), noise(ROWS * C, 2)]
    const got = run(bench, kind, x, dy, C)
    const p = softmax(x, C)
    expect(excess(got.y, kind === 'softmax' ? p : p.map(Math.log), 1e-6)).toBeLessThan(kind === 'softmax' ? 1e-9 : 1e-6)
    expect(excess(got.dx, gradientOf(kind, x, dy, C), 1e-6)).toBeLessThan(2e-6)
    expect(got.added).toEqual(got.dx.map((value) => Math.fround(value + 2)))
    expect(got.padding.every((value) => value === 0)).toBe(true)
    expect(got.inPlace).toEqual(got.stored)
    expect(run(bench, kind, x, dy, C, [1, 3])).toEqual(got)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('softmax sees no shift, rises with its own input, and falls with every other one', () => {
    const of = (...x: number[]) => {
      bench.clear()
      return [...run(bench, 'softmax', Float32Array.from(x), new Float32Array(x.length), x.length).y]
    }
    const before = of(1, -2, 0.5, 3)
    // Steps of a quarter are exact here.
    for (const shift of [-64, 0.25, 64]) expect(of(1 + shift, shift - 2, shift + 0.5, shift + 3)).toEqual(before)
    const [first = 0, ...others] = of(1.25, -2, 0.5, 3)
    expect(first).toBeGreaterThan(before[0] ?? 1)
    for (const [at, other] of others.entries()) expect(other).toBeLessThan(before[at + 1] ?? 0)
  })

  test('the logarithm stays exact where softmax is 0', () => {
    bench.clear()
    const got = run(bench, 'logSoftmax', Float32Array.of(1000, 0, -1000), new Float32Array(3), 3)
    expect([...got.y]).toEqual([0, -1000, -2000])
  })
})

describe.skipIf(!hasOracle).each(builds)('softmax against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  test.each(oracleCases(/^act_(log_)?softmax/))('$name', (recorded) => {
    bench.clear()
    const [N = 1, C = 1, H = 1, W = 1] = recorded.tensor('x').shape
    const kind = recorded.name.startsWith('act_log') ? 'logSoftmax' : 'softmax'
    const got = run(bench, kind, channelsLast(recorded.tensor('x')), channelsLast(recorded.tensor('cotangent')), C)
    expect(recorded.excess('output', channelsFirst(got.y, N, C, H * W))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', channelsFirst(got.dx, N, C, H * W))).toBeLessThanOrEqual(0)
  })
})
