import { describe, expect, test } from 'vitest'
import { layerNorm } from '../reference/layer-norm.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, oracleCases } from '../support/oracle.ts'
import { excess, noise, pad, padded, padding, ranges, unpad } from '../support/values.ts'

interface Values {
  readonly x: Float32Array
  readonly gamma: Float32Array
  readonly beta: Float32Array
  readonly dy: Float32Array
  readonly epsilon: number
}

/** All kernels on rows; the gradient of the input is written, those of the parameters are added to `before`. */
function run(bench: Bench, { x, gamma, beta, dy, epsilon }: Values, cuts: readonly number[] = [], before = 0) {
  const C = gamma.length
  const [S, rows] = [padded(C), x.length / C]
  const [xAt, dyAt] = [bench.place(pad(x, C)), bench.place(pad(dy, C))]
  const [gammaAt, betaAt] = [bench.place(pad(gamma, C)), bench.place(pad(beta, C))]
  const [y, dx, statistics] = [bench.room(rows * S), bench.room(rows * S), bench.room(rows * 2)]
  const [dGamma, dBeta] = [0, 1].map(() => bench.place(new Float32Array(S).fill(before))) as [number, number]
  for (const [from, to] of ranges(rows, cuts)) {
    bench.run('layerNormForward', xAt, gammaAt, betaAt, y, C, S, epsilon, statistics, from, to)
    bench.run('layerNormBackwardInput', xAt, gammaAt, dyAt, dx, C, S, statistics, 0, from, to)
  }
  for (const [from, to] of ranges(S / 4, cuts)) {
    bench.run('layerNormBackwardParameters', xAt, dyAt, dGamma, dBeta, S, rows, statistics, from, to)
  }
  const written = [y, dx].map((place) => bench.floats(place, rows * S))
  expect(written.flatMap((values) => padding(values, C)).every((value) => value === 0)).toBe(true)
  const [outputs, gradients] = written.map((values) => unpad(values, C))
  return {
    y: outputs ?? new Float32Array(0),
    dx: gradients ?? new Float32Array(0),
    dGamma: bench.floats(dGamma, C),
    dBeta: bench.floats(dBeta, C),
    places: { xAt, gammaAt, dyAt, statistics, S, rows },
  }
}

describe.each(builds)('layer norm (%s)', (build) => {
  const bench = new Bench(build)

  test.each([
    { rows: 1, C: 1 },
    { rows: 5, C: 3 },
    { rows: 7, C: 4 },
    { rows: 260, C: 6 },
    { rows: 600, C: 17 },
    { rows: 3, C: 384 },
  ])('$rows rows of $C channels agree with the plain loop', ({ rows, C }) => {
    bench.clear()
    const values = {
      x: noise(rows * C, 1).map((value) => value * 3 + 5),
      gamma: noise(C, 2),
      beta: noise(C, 3),
      dy: noise(rows * C, 4),
      epsilon: 1e-3,
    }
    const got = run(bench, values, [], 0.5)
    const { x, gamma, beta, dy, epsilon } = values
    const expected = layerNorm(x, gamma, beta, dy, epsilon)
    expect(excess(got.y, expected.y)).toBeLessThan(1e-5)
    expect(excess(got.dx, expected.dx)).toBeLessThan(2e-5)
    const added = (sums: readonly number[]) => sums.map((value) => value + 0.5)
    expect(excess(got.dGamma, added(expected.dGamma))).toBeLessThan(2e-5 * Math.sqrt(rows))
    expect(excess(got.dBeta, added(expected.dBeta))).toBeLessThan(2e-6 * Math.sqrt(rows))
    const { places: _, ...bits } = got
    const { places: __, ...cut } = run(bench, values, [1, 2, 3, 100], 0.5)
    expect(cut).toEqual(bits)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('the gradient of the input may be added, and may lie over that of the output', () => {
    bench.clear()
    const values = { x: noise(42, 1), gamma: noise(6, 2), beta: noise(6, 3), dy: noise(42, 4), epsilon: 1e-5 }
    const { dx, places } = run(bench, values)
    const { xAt, gammaAt, dyAt, statistics, S, rows } = places
    const before = noise(rows * S, 5)
    const added = bench.place(before)
    bench.run('layerNormBackwardInput', xAt, gammaAt, dyAt, added, 6, S, statistics, 1, 0, rows)
    expect(bench.floats(added, rows * S)).toEqual(pad(dx, 6).map((value, at) => value + (before[at] ?? 0)))
    bench.run('layerNormBackwardInput', xAt, gammaAt, dyAt, dyAt, 6, S, statistics, 0, 0, rows)
    expect(unpad(bench.floats(dyAt, rows * S), 6)).toEqual(dx)
  })
})

describe.skipIf(!hasOracle).each(builds)('layer norm against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  test.each(oracleCases(/^layernorm/))('$name', (recorded) => {
    bench.clear()
    const { shape } = recorded.tensor('x')
    const picture = shape.length === 4
    const read = (name: string) => {
      const tensor = recorded.tensor(name)
      return picture ? channelsLast(tensor) : Float32Array.from(tensor.values)
    }
    const vector = (name: string) => Float32Array.from(recorded.tensor(name).values)
    const [gamma, beta, epsilon] = [vector('weight'), vector('bias'), recorded.number('eps')]
    const got = run(bench, { x: read('x'), gamma, beta, dy: read('cotangent'), epsilon })
    const [N = 1, C = 1, H = 1, W = 1] = shape
    const back = (values: Float32Array) => (picture ? channelsFirst(values, N, C, H * W) : values)
    expect(recorded.excess('output', back(got.y))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', back(got.dx))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_weight', got.dGamma)).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_bias', got.dBeta)).toBeLessThanOrEqual(0)
  })
})
