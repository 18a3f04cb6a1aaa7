import { afterAll, describe, expect, test } from 'vitest'
import { createEngine } from '../../src/kernels/engine.ts'
import { randomStream } from '../../src/random.ts'
import { ridgeProblem } from '../../src/solve/ridge.ts'
import { normalEquations } from '../reference/normal-equations.ts'

const engines = [createEngine({ threads: 1 }), createEngine({ threads: 3 })]
const [engine = createEngine()] = engines
afterAll(async () => {
  for (const each of engines) await each.close()
})

function problem(rows: number, columns: number, outputs: number) {
  const random = randomStream({ seed: 5, purpose: `ridge ${rows} ${columns}` })
  const values = Float32Array.from({ length: rows * columns }, () => random.normal())
  const truth = Float64Array.from({ length: columns * outputs }, () => random.normal())
  const targets = Float64Array.from({ length: rows * outputs }, (_, at) => {
    const [row, o] = [Math.floor(at / outputs), at % outputs]
    let sum = 3 + 0.5 * random.normal()
    for (let c = 0; c < columns; c++) sum += (values[row * columns + c] ?? 0) * (truth[c * outputs + o] ?? 0)
    return sum
  })
  return { values, columns, targets, outputs }
}

const without = (given: ReturnType<typeof problem>, row: number) => ({
  ...given,
  values: Float32Array.from([
    ...given.values.subarray(0, row * given.columns),
    ...given.values.subarray((row + 1) * given.columns),
  ]),
  targets: Float64Array.from([
    ...given.targets.subarray(0, row * given.outputs),
    ...given.targets.subarray((row + 1) * given.outputs),
  ]),
})

describe.each([
  ['many rows', 90, 13, 3],
  ['fewer rows than columns', 20, 33, 2],
  ['one output', 600, 7, 1],
] as const)('ridge regression with %s', (_, rows, columns, outputs) => {
  const given = problem(rows, columns, outputs)

  test.each([1e-3, 1, 100])('solves the normal equations at strength %d', async (strength) => {
    const { weight, bias } = (await ridgeProblem(engine, given)).solve(strength)
    const expected = normalEquations(given, 1 / strength)
    const largest = Math.max(...expected.weight.map(Math.abs))
    // Products of 32 bits: with next to no penalty and too few rows their rounding is seen.
    const within = strength > 10 && rows < columns ? 1e-3 : 1e-4
    for (const [at, value] of expected.weight.entries())
      expect(Math.abs((weight[at] ?? Number.NaN) - value)).toBeLessThan(within * largest)
    for (const [at, value] of expected.bias.entries())
      expect(Math.abs((bias[at] ?? Number.NaN) - value)).toBeLessThan(within * Math.max(1, largest))
  })

  test('knows what each row would get from all others', async () => {
    const leftOut = await (await ridgeProblem(engine, given)).leftOut(0.5)
    for (const row of [0, 7, rows - 1]) {
      const { weight, bias } = normalEquations(without(given, row), 2)
      for (let o = 0; o < outputs; o++) {
        let output = bias[o] ?? 0
        for (let c = 0; c < columns; c++)
          output += (weight[o * columns + c] ?? 0) * (given.values[row * columns + c] ?? 0)
        expect(leftOut[row * outputs + o]).toBeCloseTo(output, 3)
      }
    }
  })
})

test('threads change no bit', async () => {
  const given = problem(700, 21, 4)
  const solutions: number[][] = []
  for (const each of engines) {
    const ridge = await ridgeProblem(each, given)
    solutions.push([...ridge.solve(0.3).weight, ...(await ridge.leftOut(0.3))])
  }
  expect(solutions[0]).toEqual(solutions[1])
})

test('too long vectors and values that are not finite are refused', async () => {
  const long = { values: new Float32Array(5000), columns: 5000, targets: new Float64Array(1), outputs: 1 }
  await expect(ridgeProblem(engine, long)).rejects.toMatchObject({ code: 'usage' })
  const broken = problem(20, 4, 1)
  broken.values[3] = Number.POSITIVE_INFINITY
  await expect(ridgeProblem(engine, broken)).rejects.toMatchObject({ code: 'data' })
})
