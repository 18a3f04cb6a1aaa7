import { describe, expect, test } from 'vitest'
import { Bench, builds } from '../support/kernels.ts'
import { hasOracle, oracleCases } from '../support/oracle.ts'
import { noise, ranges } from '../support/values.ts'

const COUNT = 68
const VECTORS = COUNT / 4
const activations = [
  { activation: 0, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY },
  { activation: 1, low: 0, high: Number.POSITIVE_INFINITY },
  { activation: 2, low: 0, high: 6 },
]

/** Values on both sides of every bound, the bounds themselves, infinities and NaN. */
function edges(seed: number): Float32Array {
  const values = noise(COUNT, seed).map((value) => value * 10)
  values.set([0, 6, -6, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, 5.9999995, 6.0000005])
  return values
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)

describe.each(builds)('elementwise kernels (%s)', (build) => {
  const bench = new Bench(build)
  const everyCut = [1, 2, 3, 5, 9, 16]

  test.each(activations)('activation $activation clamps and lets NaN through', ({ activation, low, high }) => {
    bench.clear()
    const x = edges(1)
    const [xAt, y] = [bench.place(x), bench.room(COUNT)]
    for (const [from, to] of ranges(VECTORS, everyCut)) bench.run('activationForward', xAt, y, activation, from, to)
    const expected = x.map((value) => clamp(value, low, high))
    expect([...bench.floats(y, COUNT)]).toEqual([...expected])
    bench.run('activationForward', xAt, xAt, activation, 0, VECTORS)
    expect([...bench.floats(xAt, COUNT)]).toEqual([...expected])
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each(activations)(
    'activation $activation gates the gradient, which may be added',
    ({ activation, low, high }) => {
      bench.clear()
      const x = edges(1)
      const [dy, before] = [noise(COUNT, 2), noise(COUNT, 3)]
      const y = bench.place(x.map((value) => clamp(value, low, high)))
      const [dyAt, dx, added] = [bench.place(dy), bench.room(COUNT), bench.place(before)]
      for (const [from, to] of ranges(VECTORS, everyCut)) {
        bench.run('activationBackward', y, dyAt, dx, activation, 0, from, to)
        bench.run('activationBackward', y, dyAt, added, activation, 1, from, to)
      }
      const open = (value: number) => activation === 0 || Number.isNaN(value) || (value > low && value < high)
      const expected = dy.map((value, i) => (open(x[i] ?? 0) ? value : 0))
      expect([...bench.floats(dx, COUNT)]).toEqual([...expected])
      expect([...bench.floats(added, COUNT)]).toEqual([...expected.map((value, i) => value + (before[i] ?? 0))])
      bench.run('activationBackward', y, dyAt, dyAt, activation, 0, 0, VECTORS)
      expect([...bench.floats(dyAt, COUNT)]).toEqual([...expected])
      expect(bench.guardsIntact()).toBe(true)
    },
  )

  test.each(activations)('add with activation $activation, in place too', ({ activation, low, high }) => {
    bench.clear()
    const [a, b] = [edges(1), noise(COUNT, 2)]
    const [aAt, bAt, y] = [bench.place(a), bench.place(b), bench.room(COUNT)]
    for (const [from, to] of ranges(VECTORS, everyCut)) bench.run('add', aAt, bAt, y, activation, from, to)
    const expected = a.map((value, i) => clamp(Math.fround(value + (b[i] ?? 0)), low, high))
    expect([...bench.floats(y, COUNT)]).toEqual([...expected])
    bench.run('add', aAt, bAt, bAt, activation, 0, VECTORS)
    expect([...bench.floats(bAt, COUNT)]).toEqual([...expected])
    expect(bench.guardsIntact()).toBe(true)
  })

  test('accumulate and fill', () => {
    bench.clear()
    const [x, y] = [noise(COUNT, 1), noise(COUNT, 2)]
    const [xAt, yAt] = [bench.place(x), bench.place(y)]
    for (const [from, to] of ranges(VECTORS, everyCut)) bench.run('accumulate', xAt, yAt, from, to)
    expect(bench.floats(yAt, COUNT)).toEqual(y.map((value, i) => value + (x[i] ?? 0)))
    bench.run('fill', yAt, 2.5, 1, 3)
    expect(bench.floats(yAt, 16)).toEqual(
      Float32Array.from({ length: 16 }, (_, i) => (i >= 4 && i < 12 ? 2.5 : (y[i] ?? 0) + (x[i] ?? 0))),
    )
    expect(bench.guardsIntact()).toBe(true)
  })

  test('bytes become normalised floats, rounded as by PyTorch', () => {
    bench.clear()
    const bytes = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3) + (i % 3) * 7)
    const meanStd = Float32Array.of(0.485, 0.456, 0.406, 0.229, 0.224, 0.225)
    const [at, y, settings] = [bench.place(bytes), bench.room(1024), bench.place(meanStd)]
    for (const [from, to] of ranges(256, [1, 2, 100])) bench.run('bytesToFloats', at, y, settings, from, to)
    const expected = Float32Array.from({ length: 1024 }, (_, i) => {
      const channel = i % 4
      if (channel === 3) return 0
      const share = Math.fround((bytes[Math.floor(i / 4) * 3 + channel] ?? 0) / 255)
      return Math.fround(share - (meanStd[channel] ?? 0)) / (meanStd[channel + 3] ?? 0)
    })
    expect(bench.floats(y, 1024)).toEqual(expected)
    expect(bench.guardsIntact()).toBe(true)
  })
})

describe.each(builds)('the exponential (%s)', (build) => {
  const bench = new Bench(build)

  function exponentials(x: Float32Array): Float32Array {
    bench.clear()
    const at = bench.place(x)
    bench.run('exponentialForward', at, at, 0, x.length / 4)
    return bench.floats(at, x.length)
  }

  test('is within 1.1 ULP of the true value where that is a normal number', () => {
    const count = 1 << 20
    const x = Float32Array.from({ length: count }, (_, i) => -87.33 + (i / count) * (88.72 + 87.33))
    const small = noise(1 << 18, 1).map((value) => value * 0.7)
    let worst = 0
    for (const values of [x, small]) {
      const y = exponentials(values)
      for (const [i, value] of values.entries()) {
        const exact = Math.exp(value)
        const unit = 2 ** (Math.floor(Math.log2(exact)) - 23)
        worst = Math.max(worst, Math.abs((y[i] ?? Number.NaN) - exact) / unit)
      }
    }
    expect(worst).toBeGreaterThan(0.5)
    expect(worst).toBeLessThan(1.1)
  })

  test('fades through the denormals to 0, and grows to infinity', () => {
    const x = Float32Array.from({ length: 400 }, (_, i) => -87 - i / 20)
    const y = exponentials(x)
    for (const [i, value] of x.entries()) expect(Math.abs((y[i] ?? 1) - Math.exp(value))).toBeLessThan(2 ** -148)
    const extremes = [-104, -1000, Number.NEGATIVE_INFINITY, 88.73, 1e30, Number.POSITIVE_INFINITY, Number.NaN, 0]
    const infinity = Number.POSITIVE_INFINITY
    expect([...exponentials(Float32Array.from(extremes))]).toEqual([
      0,
      0,
      0,
      infinity,
      infinity,
      infinity,
      Number.NaN,
      1,
    ])
  })
})

describe.skipIf(!hasOracle).each(builds)('activations against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  test.each(oracleCases(/^act_relu6?(_edges)?$/))('$name', (recorded) => {
    bench.clear()
    const activation = recorded.name.startsWith('act_relu6') ? 2 : 1
    const { values } = recorded.tensor('x')
    const padded = new Float32Array(Math.ceil(values.length / 4) * 4)
    padded.set(values)
    const [x, y] = [bench.place(padded), bench.room(padded.length)]
    bench.run('activationForward', x, y, activation, 0, padded.length / 4)
    expect(recorded.excess('output', bench.floats(y, values.length))).toBeLessThanOrEqual(0)
    if (!recorded.has('cotangent')) return
    padded.set(recorded.tensor('cotangent').values)
    const dx = bench.place(padded)
    bench.run('activationBackward', y, dx, dx, activation, 0, 0, padded.length / 4)
    expect(recorded.excess('grad_x', bench.floats(dx, values.length))).toBeLessThanOrEqual(0)
  })

  test('an image is taken away from every picture, also in place', () => {
    bench.clear()
    const [pictures, V] = [4, 17]
    const [x, image] = [noise(pictures * V * 4, 1), noise(V * 4, 2)]
    const [xAt, imageAt, y] = [bench.place(x), bench.place(image), bench.room(x.length)]
    for (const [from, to] of ranges(pictures * V, [1, 16, 17, 18, 40]))
      bench.run('subtractImage', xAt, imageAt, y, V, from, to)
    const expected = x.map((value, at) => value - (image[at % image.length] ?? Number.NaN))
    expect([...bench.floats(y, x.length)]).toEqual([...expected])
    bench.run('subtractImage', xAt, imageAt, xAt, V, 0, pictures * V)
    expect([...bench.floats(xAt, x.length)]).toEqual([...expected])
    expect(bench.guardsIntact()).toBe(true)
  })
})
