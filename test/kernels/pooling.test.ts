import { describe, expect, test } from 'vitest'
import {
  adaptiveCells,
  maxima,
  maximaGradient,
  means,
  meansGradient,
  type PoolShape,
  pooledLength,
  poolGeometry,
  windows,
} from '../reference/pooling.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, type OracleCase, oracleCases } from '../support/oracle.ts'
import { dot, excess, noise, numericalGradient, pad, padded, padding, ranges, unpad } from '../support/values.ts'

interface Options {
  readonly cuts?: readonly number[]
  readonly before?: Float32Array
}

type Kind = 'max' | 'average' | 'average without padding'

function forward(bench: Bench, kind: Kind, shape: PoolShape, x: Float32Array, options: Options = {}): Float32Array {
  const [OH, OW] = [pooledLength(shape.H, shape), pooledLength(shape.W, shape)]
  const count = shape.N * OH * OW * padded(shape.C)
  const [xAt, y, geometry] = [bench.place(pad(x, shape.C)), bench.room(count), bench.place(poolGeometry(shape))]
  for (const [from, to] of ranges(shape.N * OH, options.cuts ?? [])) {
    if (kind === 'max') bench.run('maxPoolForward', xAt, y, geometry, from, to)
    else bench.run('averagePoolForward', xAt, y, geometry, kind === 'average' ? 1 : 0, from, to)
  }
  return bench.floats(y, count)
}

function backward(
  bench: Bench,
  kind: Kind,
  shape: PoolShape,
  x: Float32Array,
  dy: Float32Array,
  options: Options = {},
): Float32Array {
  const count = shape.N * shape.H * shape.W * padded(shape.C)
  const [xAt, dyAt, geometry] = [
    bench.place(pad(x, shape.C)),
    bench.place(pad(dy, shape.C)),
    bench.place(poolGeometry(shape)),
  ]
  const dx = options.before ? bench.place(pad(options.before, shape.C)) : bench.room(count)
  const add = options.before ? 1 : 0
  for (const [from, to] of ranges(shape.N, options.cuts ?? [])) {
    if (kind === 'max') bench.run('maxPoolBackward', xAt, dyAt, dx, geometry, add, from, to)
    else bench.run('averagePoolBackward', dyAt, dx, geometry, kind === 'average' ? 1 : 0, add, from, to)
  }
  return bench.floats(dx, count)
}

function expected(kind: Kind, shape: PoolShape, x: Float32Array, dy: Float32Array) {
  const cells = windows(shape, kind === 'average')
  if (kind === 'max') return { y: maxima(cells, x, shape.C), dx: maximaGradient(cells, x, dy, shape.C) }
  return { y: means(cells, x, shape.C), dx: meansGradient(cells, dy, shape.C, x.length) }
}

function shapeOf(
  N: number,
  H: number,
  W: number,
  C: number,
  kernel: number,
  stride: number,
  pad: number,
  ceil = false,
) {
  return { N, H, W, C, kernel, stride, pad, ceil } satisfies PoolShape
}

const shapes = [
  shapeOf(3, 6, 8, 5, 2, 2, 0),
  shapeOf(2, 7, 9, 4, 2, 2, 0, true),
  shapeOf(2, 9, 10, 5, 3, 2, 1),
  shapeOf(2, 10, 13, 3, 5, 3, 2, true),
  shapeOf(2, 10, 10, 1, 3, 3, 1, true),
  shapeOf(2, 5, 4, 17, 3, 1, 1),
  shapeOf(1, 4, 5, 2, 2, 1, 1),
  shapeOf(1, 1, 1, 4, 1, 1, 0),
]
const kinds: readonly Kind[] = ['max', 'average', 'average without padding']
const table = kinds.flatMap((kind) => shapes.map((shape) => ({ kind, shape, text: Object.values(shape).join(' ') })))

describe.each(builds)('pooling (%s)', (build) => {
  const bench = new Bench(build)

  test.each(table)('$kind over $text agrees with the plain loop', ({ kind, shape }) => {
    bench.clear()
    const x = noise(shape.N * shape.H * shape.W * shape.C, 1)
    const y = forward(bench, kind, shape, x)
    const dy = noise(unpad(y, shape.C).length, 2)
    const dx = backward(bench, kind, shape, x, dy)
    const reference = expected(kind, shape, x, dy)
    expect(excess(unpad(y, shape.C), reference.y)).toBeLessThan(1e-6)
    expect(excess(unpad(dx, shape.C), reference.dx)).toBeLessThan(1e-6)
    expect([...padding(y, shape.C), ...padding(dx, shape.C)].every((value) => value === 0)).toBe(true)

    const before = noise(x.length, 3)
    const added = unpad(backward(bench, kind, shape, x, dy, { before }), shape.C)
    expect(
      excess(
        added,
        reference.dx.map((value, i) => value + (before[i] ?? 0)),
      ),
    ).toBeLessThan(1e-6)

    const cuts = Array.from({ length: 30 }, (_, i) => i)
    expect(forward(bench, kind, shape, x, { cuts })).toEqual(y)
    expect(backward(bench, kind, shape, x, dy, { cuts })).toEqual(dx)
    expect(bench.guardsIntact()).toBe(true)
  })

  test('the first of equal maxima gets the gradient, and a NaN wins', () => {
    bench.clear()
    const shape = shapeOf(1, 2, 2, 4, 2, 2, 0)
    const lanes = [
      [1, 1, 1, 1],
      [0, 3, 3, 0],
      [2, Number.NaN, 5, 0],
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ]
    // Lane by lane: four channels, four pixels.
    const x = Float32Array.from({ length: 16 }, (_, i) => lanes[i % 4]?.[Math.floor(i / 4)] ?? 0)
    expect([...forward(bench, 'max', shape, x)]).toEqual([1, 3, Number.NaN, Number.NEGATIVE_INFINITY])
    const dx = backward(bench, 'max', shape, x, Float32Array.of(1, 2, 3, 4))
    const pixels = [0, 1, 2, 3].map((pixel) => [...dx.subarray(pixel * 4, pixel * 4 + 4)])
    expect(pixels).toEqual([
      [1, 0, 0, 4],
      [0, 2, 3, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ])
  })

  test.each([
    [2, 7, 7, 5, 1, 1],
    [3, 7, 10, 6, 3, 3],
    [2, 2, 2, 4, 7, 7],
    [2, 5, 13, 3, 7, 7],
    [1, 33, 20, 4, 1, 1],
  ])('adaptive pooling of %ix%ix%ix%i to %ix%i agrees with the plain loop', (N, H, W, C, OH, OW) => {
    bench.clear()
    const S = padded(C)
    const [x, dy, before] = [noise(N * H * W * C, 1), noise(N * OH * OW * C, 2), noise(N * H * W * C, 3)]
    const [xAt, dyAt, y] = [bench.place(pad(x, C)), bench.place(pad(dy, C)), bench.room(N * OH * OW * S)]
    const [dx, added] = [bench.room(N * H * W * S), bench.place(pad(before, C))]
    const size = [H, W, S, OH, OW] as const
    for (const [from, to] of ranges(N, [1, 2])) {
      bench.run('adaptivePoolForward', xAt, y, ...size, from, to)
      bench.run('adaptivePoolBackward', dyAt, dx, ...size, 0, from, to)
      bench.run('adaptivePoolBackward', dyAt, added, ...size, 1, from, to)
    }
    const cells = adaptiveCells(N, H, W, OH, OW)
    const gradient = meansGradient(cells, dy, C, x.length)
    expect(excess(unpad(bench.floats(y, N * OH * OW * S), C), means(cells, x, C))).toBeLessThan(1e-6)
    expect(excess(unpad(bench.floats(dx, N * H * W * S), C), gradient)).toBeLessThan(2e-6)
    const sum = gradient.map((value, i) => value + (before[i] ?? 0))
    expect(excess(unpad(bench.floats(added, N * H * W * S), C), sum)).toBeLessThan(2e-6)
    expect(bench.guardsIntact()).toBe(true)
  })
})

describe('the plain loops of pooling', () => {
  const shape = shapeOf(1, 5, 6, 2, 3, 2, 1, true)
  const x = Float64Array.from(noise(60, 1))

  test.each([true, false])('have the gradients of finite differences (padding included: %s)', (includePad) => {
    const cells = windows(shape, includePad)
    const dy = noise(cells.length * 2, 2)
    const average = numericalGradient((values) => dot(means(cells, values, 2), dy), x)
    expect(excess(meansGradient(cells, dy, 2, 60), average)).toBeLessThan(1e-8)
    const largest = numericalGradient((values) => dot(maxima(cells, values, 2), dy), x)
    expect(excess(maximaGradient(cells, x, dy, 2), largest)).toBeLessThan(1e-8)
  })

  test('have the gradients of finite differences for adaptive pooling', () => {
    const cells = adaptiveCells(1, 5, 6, 2, 4)
    const dy = noise(cells.length * 2, 2)
    const numerical = numericalGradient((values) => dot(means(cells, values, 2), dy), x)
    expect(excess(meansGradient(cells, dy, 2, 60), numerical)).toBeLessThan(1e-8)
  })
})

describe.skipIf(!hasOracle).each(builds)('pooling against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  function check(recorded: OracleCase, y: Float32Array, dx: Float32Array): void {
    const [N = 0, C = 0, H = 0, W = 0] = recorded.tensor('x').shape
    expect(recorded.excess('output', channelsFirst(y, N, C, y.length / N / C))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', channelsFirst(dx, N, C, H * W))).toBeLessThanOrEqual(0)
  }

  test.each(oracleCases(/^(maxpool|avgpool)_|^global_maxpool/))('$name', (recorded) => {
    bench.clear()
    const [N = 0, C = 0, H = 0, W = 0] = recorded.tensor('x').shape
    const global = recorded.name === 'global_maxpool'
    // A window as large as the longer side, hanging over in ceil mode, takes in the whole picture.
    const shape = global
      ? shapeOf(N, H, W, C, Math.max(H, W), Math.max(H, W), 0, true)
      : shapeOf(
          N,
          H,
          W,
          C,
          recorded.number('kernel'),
          recorded.number('stride'),
          recorded.number('padding'),
          recorded.config['ceil_mode'] === true,
        )
    const average = recorded.config['count_include_pad'] === false ? 'average without padding' : 'average'
    const kind = recorded.name.includes('max') ? 'max' : average
    const x = channelsLast(recorded.tensor('x'))
    const y = unpad(forward(bench, kind, shape, x), C)
    const dx = unpad(backward(bench, kind, shape, x, channelsLast(recorded.tensor('cotangent'))), C)
    check(recorded, y, dx)
  })

  test.each(oracleCases(/^adaptive_avgpool|^global_avgpool/))('$name', (recorded) => {
    bench.clear()
    const [N = 0, C = 0, H = 0, W = 0] = recorded.tensor('x').shape
    const [, , OH = 1, OW = 1] = recorded.tensor('output').shape
    const S = padded(C)
    const [y, dx] = [bench.room(N * OH * OW * S), bench.room(N * H * W * S)]
    const size = [H, W, S, OH, OW] as const
    bench.run('adaptivePoolForward', bench.place(pad(channelsLast(recorded.tensor('x')), C)), y, ...size, 0, N)
    bench.run(
      'adaptivePoolBackward',
      bench.place(pad(channelsLast(recorded.tensor('cotangent')), C)),
      dx,
      ...size,
      0,
      0,
      N,
    )
    check(recorded, unpad(bench.floats(y, N * OH * OW * S), C), unpad(bench.floats(dx, N * H * W * S), C))
  })
})
