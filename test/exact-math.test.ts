import { describe, expect, it } from 'vitest'
import { cos, exp, log, pow, sin, tanh } from '../src/exact-math.ts'
import { randomStream } from '../src/random.ts'

// Math.* is itself within 1 ulp of the truth, ours within 1 (pow and tanh 2).
const ulps = { one: 2, two: 3 }

describe('exact math', () => {
  const random = randomStream({ seed: 1, purpose: 'test: exact math' })
  const between = (low: number, high: number) => low + (high - low) * random.uniform()

  it.each([
    ['exp', exp, Math.exp, -700, 700, ulps.one],
    ['exp near zero', exp, Math.exp, -1e-3, 1e-3, ulps.one],
    ['exp of subnormal results', exp, Math.exp, -745, -700, ulps.one],
    ['log', log, Math.log, 0, 10, ulps.one],
    ['log near one', log, Math.log, 0.99, 1.01, ulps.one],
    ['log of large numbers', log, Math.log, 1, 1e300, ulps.one],
    ['sin', sin, Math.sin, -10, 10, ulps.one],
    ['sin of large angles', sin, Math.sin, -1e6, 1e6, ulps.one],
    ['cos', cos, Math.cos, -10, 10, ulps.one],
    ['cos of large angles', cos, Math.cos, -1e6, 1e6, ulps.one],
    ['tanh', tanh, Math.tanh, -25, 25, ulps.two],
    ['tanh near zero', tanh, Math.tanh, -0.6, 0.6, ulps.two],
  ] as const)('%s agrees with the platform', (_, ours, theirs, low, high, limit) => {
    let worst = 0
    for (let i = 0; i < 20_000; i++) {
      const x = between(low, high)
      worst = Math.max(worst, ulpsBetween(ours(x), theirs(x)))
    }
    expect(worst).toBeLessThanOrEqual(limit)
  })

  it('pow agrees with the platform, for results from the smallest to the largest', () => {
    let worst = 0
    for (let i = 0; i < 20_000; i++) {
      const x = exp(between(-20, 20))
      const y = between(-35, 35)
      worst = Math.max(worst, ulpsBetween(pow(x, y), x ** y))
    }
    expect(worst).toBeLessThanOrEqual(ulps.two)
  })

  it('keeps whole powers whole', () => {
    for (let base = 1; base <= 12; base++) {
      for (let power = 0; power <= 12; power++) {
        let product = 1
        for (let i = 0; i < power; i++) product *= base
        expect(pow(base, power), `${base}^${power}`).toBe(product)
      }
    }
    expect(pow(4, 0.5)).toBe(2)
    expect(pow(2, -3)).toBe(0.125)
  })

  it('treats special values as the platform does', () => {
    const specials = [0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, Infinity, -Infinity, NaN, 5e-324, 1.7976931348623157e308]
    for (const x of specials) {
      expect(ulpsBetween(exp(x), Math.exp(x)), `exp ${x}`).toBeLessThanOrEqual(1)
      if (Math.abs(x) !== 1.7976931348623157e308)
        expect(ulpsBetween(sin(x), Math.sin(x)), `sin ${x}`).toBeLessThanOrEqual(2)
      expect(ulpsBetween(tanh(x), Math.tanh(x)), `tanh ${x}`).toBeLessThanOrEqual(2)
      expect(ulpsBetween(log(x), Math.log(x)), `log ${x}`).toBeLessThanOrEqual(1)
      for (const y of specials) {
        const ours = pow(x, y)
        const theirs = x ** y
        expect(Object.is(ours, theirs) || ulpsBetween(ours, theirs) <= 2, `${x} ** ${y} = ${theirs}, not ${ours}`).toBe(
          true,
        )
      }
    }
    expect(log(0)).toBe(-Infinity)
    expect(log(-1)).toBeNaN()
    expect(exp(710)).toBe(Infinity)
    expect(exp(-746)).toBe(0)
    expect(exp(0)).toBe(1)
    expect(Object.is(tanh(-0), -0)).toBe(true)
    expect(Object.is(sin(-0), -0)).toBe(true)
  })

  it('refuses angles it cannot reduce', () => {
    expect(() => sin(1e7)).toThrow(RangeError)
    expect(cos(Infinity)).toBeNaN()
  })

  it('gives these bits everywhere', () => {
    expect([exp(1), log(7), sin(1), cos(1), pow(0.999, 1000), tanh(0.25)]).toEqual([
      Math.E,
      1.9459101490553132,
      0.8414709848078965,
      0.5403023058681398,
      0.36769542477096373,
      0.24491866240370913,
    ])
  })
})

/** Distance in units of the last place, counted through the bit patterns. */
function ulpsBetween(a: number, b: number): number {
  if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) return 0
  if (!Number.isFinite(a) || !Number.isFinite(b)) return a === b ? 0 : Number.POSITIVE_INFINITY
  return Math.abs(Number(position(a) - position(b)))
}

function position(x: number): bigint {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(x))
  const bits = view.getBigInt64(0)
  return x < 0 ? -bits : bits
}
