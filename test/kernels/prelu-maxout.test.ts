import { describe, expect, test } from 'vitest'
import { maxout, maxoutGradient, prelu, preluGradients } from '../reference/prelu.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { excess, noise, pad, padded, padding, ranges, unpad } from '../support/values.ts'

/** All three kernels on rows of C values; gradients are added to `before`. */
function runPrelu(
  bench: Bench,
  x: Float32Array,
  slopes: Float32Array,
  dy: Float32Array,
  C: number,
  cuts: readonly number[] = [],
  before = 0,
) {
  const [S, rows] = [padded(C), x.length / C]
  const shared = slopes.length === 1 ? 1 : 0
  const weight = new Float32Array(shared ? 4 : S)
  weight.set(slopes)
  const [xAt, weightAt, dyAt] = [bench.place(pad(x, C)), bench.place(weight), bench.place(pad(dy, C))]
  const [y, dx] = [bench.room(rows * S), bench.room(rows * S)]
  const dWeight = bench.place(weight.map((_, i) => (i < slopes.length ? before : 0)))
  for (const [from, to] of ranges(rows, cuts)) {
    bench.run('preluForward', xAt, weightAt, y, S, shared, from, to)
    bench.run('preluBackwardInput', xAt, weightAt, dyAt, dx, S, shared, 0, from, to)
  }
  for (const [from, to] of ranges(shared ? 1 : S / 4, cuts)) {
    bench.run('preluBackwardWeight', xAt, dyAt, dWeight, S, rows, shared, from, to)
  }
  const paddings = [y, dx].flatMap((place) => padding(bench.floats(place, rows * S), C))
  return {
    y: unpad(bench.floats(y, rows * S), C),
    dx: unpad(bench.floats(dx, rows * S), C),
    dSlopes: bench.floats(dWeight, slopes.length),
    paddings,
    unusedSlopes: bench.floats(dWeight, weight.length).subarray(slopes.length),
    places: { xAt, weightAt, dyAt, S, shared, rows },
  }
}

function runMaxout(
  bench: Bench,
  x: Float32Array,
  dy: Float32Array,
  C: number,
  k: number,
  cuts: readonly number[] = [],
) {
  const [S, inputS, rows] = [padded(C), padded(C * k), dy.length / C]
  const [xAt, dyAt] = [bench.place(pad(x, C * k)), bench.place(pad(dy, C))]
  const [y, dx, added] = [
    bench.room(rows * S),
    bench.room(rows * inputS),
    bench.place(new Float32Array(rows * inputS).fill(2)),
  ]
  for (const [from, to] of ranges(rows, cuts)) {
    bench.run('maxoutForward', xAt, y, C, S, k, inputS, from, to)
    bench.run('maxoutBackward', xAt, dyAt, dx, C, S, k, inputS, 0, from, to)
    bench.run('maxoutBackward', xAt, dyAt, added, C, S, k, inputS, 1, from, to)
  }
  const paddings = [...padding(bench.floats(y, rows * S), C), ...padding(bench.floats(dx, rows * inputS), C * k)]
  return {
    y: unpad(bench.floats(y, rows * S), C),
    dx: unpad(bench.floats(dx, rows * inputS), C * k),
    added: unpad(bench.floats(added, rows * inputS), C * k),
    paddings,
  }
}

describe.each(builds)('prelu and maxout (%s)', (build) => {
  const bench = new Bench(build)

  const sizes = [
    { rows: 1, C: 1 },
    { rows: 5, C: 3 },
    { rows: 7, C: 4 },
    { rows: 260, C: 6 },
    { rows: 700, C: 17 },
  ]

  test.each(sizes.flatMap((size) => [false, true].map((shared) => ({ ...size, shared }))))(
    'prelu of $rows rows of $C channels agrees with the plain loop, shared: $shared',
    ({ rows, C, shared }) => {
      bench.clear()
      const [x, dy, slopes] = [noise(rows * C, 1), noise(rows * C, 2), noise(shared ? 1 : C, 3)]
      const got = runPrelu(bench, x, slopes, dy, C, [], 0.5)
      const expected = preluGradients(x, slopes, dy, C)
      expect(excess(got.y, prelu(x, slopes, C), 1e-7)).toBeLessThan(1e-12)
      expect(excess(got.dx, expected.dx, 1e-7)).toBeLessThan(1e-12)
      expect(
        excess(
          got.dSlopes,
          expected.dSlopes.map((value) => value + 0.5),
        ),
      ).toBeLessThan(2e-6 * Math.sqrt(rows * C))
      expect(got.paddings.every((value) => value === 0)).toBe(true)
      expect(got.unusedSlopes.every((value) => value === 0)).toBe(true)
      const { places: _, ...bits } = got
      const { places: __, ...cut } = runPrelu(bench, x, slopes, dy, C, [1, 2, 3, 100], 0.5)
      expect(cut).toEqual(bits)
      expect(bench.guardsIntact()).toBe(true)
    },
  )

  test('the gradient of prelu may be added, and may lie over that of the output', () => {
    bench.clear()
    const [x, dy, slopes] = [noise(30, 1), noise(30, 2), noise(6, 3)]
    const { dx, places } = runPrelu(bench, x, slopes, dy, 6)
    const { xAt, weightAt, dyAt, S, shared, rows } = places
    const before = noise(rows * S, 4)
    const added = bench.place(before)
    bench.run('preluBackwardInput', xAt, weightAt, dyAt, added, S, shared, 1, 0, rows)
    expect(bench.floats(added, rows * S)).toEqual(pad(dx, 6).map((value, i) => value + (before[i] ?? 0)))
    bench.run('preluBackwardInput', xAt, weightAt, dyAt, dyAt, S, shared, 0, 0, rows)
    expect(unpad(bench.floats(dyAt, rows * S), 6)).toEqual(dx)
  })

  test.each([
    { rows: 1, C: 1, k: 1 },
    { rows: 3, C: 5, k: 2 },
    { rows: 9, C: 4, k: 3 },
    { rows: 4, C: 7, k: 4 },
    { rows: 5, C: 1, k: 9 },
  ])('maxout of $rows rows to $C channels of $k pieces agrees with the plain loop', ({ rows, C, k }) => {
    bench.clear()
    const [x, dy] = [noise(rows * C * k, 1), noise(rows * C, 2)]
    const got = runMaxout(bench, x, dy, C, k)
    expect([...got.y]).toEqual([...maxout(x, k)])
    const expected = maxoutGradient(x, dy, k)
    expect([...got.dx]).toEqual([...expected])
    expect([...got.added]).toEqual([...expected].map((value) => Math.fround(value + 2)))
    expect(got.paddings.every((value) => value === 0)).toBe(true)
    expect(runMaxout(bench, x, dy, C, k, [1, 2, 3])).toEqual(got)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('the first of equal pieces wins, and NaN over all', () => {
    bench.clear()
    const x = Float32Array.of(2, 2, 1, 0, Number.NaN, 5, -1, -1, Number.NEGATIVE_INFINITY)
    const got = runMaxout(bench, x, Float32Array.of(1, 1, 1), 3, 3)
    expect([...got.y]).toEqual([2, Number.NaN, -1])
    expect([...got.dx]).toEqual([1, 0, 0, 0, 1, 0, 1, 0, 0])
  })
})

describe.skipIf(!hasOracle).each(builds)('prelu and maxout against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  const shapeOf = (recorded: OracleCase, name: string) => {
    const [N = 1, C = 1, H = 1, W = 1] = recorded.tensor(name).shape
    return { N, C, pixels: H * W }
  }

  test.each(oracleCases(/^act_prelu/))('$name', (recorded) => {
    bench.clear()
    const { N, C, pixels } = shapeOf(recorded, 'x')
    const slopes = Float32Array.from(recorded.tensor('weight').values)
    const dy = channelsLast(recorded.tensor('cotangent'))
    const got = runPrelu(bench, channelsLast(recorded.tensor('x')), slopes, dy, C)
    expect(recorded.excess('output', channelsFirst(got.y, N, C, pixels))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', channelsFirst(got.dx, N, C, pixels))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_weight', got.dSlopes)).toBeLessThanOrEqual(0)
  })

  test.each(oracleCases(/^act_maxout/))('$name', (recorded) => {
    bench.clear()
    const { N, C: inputs, pixels } = shapeOf(recorded, 'x')
    const { C } = shapeOf(recorded, 'output')
    const dy = channelsLast(recorded.tensor('cotangent'))
    const got = runMaxout(bench, channelsLast(recorded.tensor('x')), dy, C, recorded.number('k'))
    expect(recorded.excess('output', channelsFirst(got.y, N, C, pixels))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', channelsFirst(got.dx, N, inputs, pixels))).toBeLessThanOrEqual(0)
  })
})
