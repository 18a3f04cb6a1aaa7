import { describe, expect, it } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { exp, log } from '../../src/exact-math.ts'
import { randomStream } from '../../src/random.ts'
import { type Evaluation, minimise } from '../../src/solve/lbfgs.ts'

/** sum of c_i (x_i - i)² / 2 with c from 1 to 10,000. */
function quadratic(x: Float64Array): Evaluation {
  const curvature = x.map((_, i) => 10 ** (4 * (i / Math.max(1, x.length - 1))))
  const gradient = x.map((value, i) => (curvature[i] ?? 0) * (value - i))
  const value = gradient.reduce((sum, slope, i) => sum + (slope * slope) / (2 * (curvature[i] ?? 1)), 0)
  return { value, gradient }
}

function rosenbrock(x: Float64Array): Evaluation {
  const [a = 0, b = 0] = x
  const bend = b - a * a
  return {
    value: (1 - a) ** 2 + 100 * bend * bend,
    gradient: Float64Array.of(-2 * (1 - a) - 400 * a * bend, 200 * bend),
  }
}

/** Mean logistic loss of labels 0 and 1 on a line, plus half the squared slope: x = [slope, intercept]. */
function logistic(points: readonly (readonly [number, number])[], penalty: number, round = (value: number) => value) {
  return ([slope = 0, intercept = 0]: Float64Array): Evaluation => {
    const gradient = Float64Array.of(penalty * slope, 0)
    let value = 0.5 * penalty * slope * slope
    for (const [position, label] of points) {
      const score = slope * position + intercept
      const probability = 1 / (1 + exp(-score))
      value = round(value - log(label === 1 ? probability : 1 - probability) / points.length)
      const error = (probability - label) / points.length
      gradient[0] = round((gradient[0] ?? 0) + error * position)
      gradient[1] = round((gradient[1] ?? 0) + error)
    }
    return { value, gradient }
  }
}

describe('minimise', () => {
  it('finds the minimum of an ill-conditioned quadratic', async () => {
    const found = await minimise({
      initial: new Float64Array(20),
      evaluate: quadratic,
      gradientTolerance: 1e-8,
      functionTolerance: 0,
      maxIterations: 1000,
    })
    expect(found.converged).toBe(true)
    for (const [i, value] of found.x.entries()) expect(value).toBeCloseTo(i, 6)
    // SciPy 1.17's L-BFGS-B takes 631 for this.
    expect(found.iterations).toBeLessThan(700)
  })

  it('follows the valley of Rosenbrock', async () => {
    const seen: number[] = []
    const found = await minimise({
      initial: Float64Array.of(-1.2, 1),
      evaluate: rosenbrock,
      gradientTolerance: 1e-9,
      functionTolerance: 0,
      valueNoise: 0,
      onIteration: ({ value }) => seen.push(value),
    })
    expect(found.reason).toBe('gradient')
    expect(found.x[0]).toBeCloseTo(1, 8)
    expect(found.x[1]).toBeCloseTo(1, 8)
    expect(found.iterations).toBeLessThan(60)
    expect(seen.length).toBe(found.iterations)
    expect(seen).toEqual(seen.toSorted((a, b) => b - a))
  })

  it('solves a logistic regression whose optimum is known', async () => {
    // One yes in four on the left, three in four on the right: the scores are -log 3 and +log 3.
    const points = [-1, 1].flatMap((at) => [0, 1, 2, 3].map((i) => [at, (at < 0 ? i === 0 : i > 0) ? 1 : 0] as const))
    const found = await minimise({
      initial: new Float64Array(2),
      evaluate: logistic(points, 0),
      gradientTolerance: 1e-10,
    })
    expect(found.x[0]).toBeCloseTo(Math.log(3), 8)
    expect(found.x[1]).toBeCloseTo(0, 8)
  })

  it('comes as near as 32-bit values allow, and stops there', async () => {
    const random = randomStream({ seed: 5, purpose: 'test: logistic' })
    const points = Array.from({ length: 300 }, (_, i) => [random.normal() + (i % 2), i % 2] as const)
    const options = { initial: new Float64Array(2), gradientTolerance: 1e-12, functionTolerance: 0 }
    const exact = await minimise({ ...options, evaluate: logistic(points, 0.01) })
    const rounded = await minimise({ ...options, evaluate: logistic(points, 0.01, Math.fround) })
    expect(['gradient', 'function', 'no-progress']).toContain(rounded.reason)
    expect(rounded.evaluations).toBeLessThan(300)
    for (let i = 0; i < 2; i++) expect(Math.abs((rounded.x[i] ?? 0) - (exact.x[i] ?? 1))).toBeLessThan(1e-5)
  })

  it('gives the same bits again', async () => {
    const run = () => minimise({ initial: Float64Array.of(-1.2, 1), evaluate: rosenbrock, maxIterations: 17 })
    expect(await run()).toEqual(await run())
  })

  it('steps back from where the function is not finite', async () => {
    // x - log x: not a number below 0, minimum at 1.
    const evaluate = ([x = 0]: Float64Array) => ({ value: x - log(x), gradient: Float64Array.of(1 - 1 / x) })
    const found = await minimise({ initial: Float64Array.of(20), evaluate })
    expect(found.x[0]).toBeCloseTo(1, 4)
  })

  it('copies the gradient, whose memory may be used again', async () => {
    const memory = new Float64Array(2)
    const evaluate = (x: Float64Array) => {
      const { value, gradient } = rosenbrock(x)
      memory.set(gradient)
      return { value, gradient: memory }
    }
    const start = { initial: Float64Array.of(-1.2, 1) }
    expect(await minimise({ ...start, evaluate })).toEqual(await minimise({ ...start, evaluate: rosenbrock }))
  })

  it('stops after the iterations allowed, at a flat place, and without parameters', async () => {
    const initial = Float64Array.of(-1.2, 1)
    const short = await minimise({ initial, evaluate: rosenbrock, maxIterations: 3 })
    expect([short.reason, short.iterations, short.converged]).toEqual(['iterations', 3, false])
    expect([...initial]).toEqual([-1.2, 1])
    const flat = await minimise({ initial: Float64Array.of(1, 1), evaluate: rosenbrock })
    expect([flat.reason, flat.iterations]).toEqual(['gradient', 0])
    const none = await minimise({
      initial: new Float64Array(0),
      evaluate: () => ({ value: 1, gradient: new Float64Array(0) }),
    })
    expect(none.converged).toBe(true)
  })

  it('keeps the start when the gradient is wrong', async () => {
    const evaluate = (x: Float64Array) => ({ value: (x[0] ?? 0) ** 2, gradient: Float64Array.of(-2 * (x[0] ?? 0)) })
    const found = await minimise({ initial: Float64Array.of(1), evaluate })
    expect([found.reason, found.x[0]]).toEqual(['no-progress', 1])
  })

  it('refuses a start that is not finite, and stops when asked to', async () => {
    const broken = {
      initial: new Float64Array(1),
      evaluate: () => ({ value: Number.NaN, gradient: new Float64Array(1) }),
    }
    await expect(minimise(broken)).rejects.toThrow(RegraftError)
    const stop = new AbortController()
    let calls = 0
    const work = minimise({
      initial: Float64Array.of(-1.2, 1),
      evaluate(x) {
        calls += 1
        if (calls === 5) stop.abort()
        return rosenbrock(x)
      },
      signal: stop.signal,
    })
    await expect(work).rejects.toMatchObject({ code: 'interrupted' })
    expect(calls).toBe(5)
  })
})
