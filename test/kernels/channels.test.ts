import { describe, expect, test } from 'vitest'
import { concatenated, productSums, scaledImages, shuffled } from '../reference/channels.ts'
import { Bench, builds } from '../support/kernels.ts'
import { channelsFirst, channelsLast, hasOracle, oracleCases } from '../support/oracle.ts'
import { excess, noise, pad, padded, padding, ranges, unpad } from '../support/values.ts'

/** The parts of a concatenation, joined and taken apart again. */
function joinAndPart(
  bench: Bench,
  parts: readonly { readonly values: Float32Array; readonly C: number }[],
  rows: number,
  cuts: readonly number[] = [],
) {
  const all = parts.reduce((sum, { C }) => sum + C, 0)
  const S = padded(all)
  const y = bench.place(new Float32Array(rows * S))
  const taken: Float32Array[] = []
  let from = 0
  for (const { values, C } of parts) {
    const x = bench.place(pad(values, C))
    const back = bench.place(new Float32Array(rows * padded(C)))
    for (const [start, end] of ranges(rows, cuts)) {
      bench.run('copyChannels', x, y + 4 * from, C, padded(C), S, 0, start, end)
      bench.run('copyChannels', y + 4 * from, back, C, S, padded(C), 0, start, end)
      bench.run('copyChannels', y + 4 * from, back, C, S, padded(C), 1, start, end)
    }
    expect(padding(bench.floats(back, rows * padded(C)), C).every((value) => value === 0)).toBe(true)
    taken.push(unpad(bench.floats(back, rows * padded(C)), C))
    from += C
  }
  const joined = bench.floats(y, rows * S)
  expect(padding(joined, all).every((value) => value === 0)).toBe(true)
  return { joined: unpad(joined, all), taken }
}

describe.each(builds)('channels that move and are scaled (%s)', (build) => {
  const bench = new Bench(build)

  test.each([
    { rows: 1, widths: [1] },
    { rows: 5, widths: [4, 8] },
    { rows: 7, widths: [3, 5, 1, 4] },
    { rows: 9, widths: [17, 2, 6] },
  ])('$widths channels of $rows rows are joined and taken apart', ({ rows, widths }) => {
    bench.clear()
    const parts = widths.map((C, at) => ({ values: noise(rows * C, at + 1), C }))
    const got = joinAndPart(bench, parts, rows)
    expect(got.joined).toEqual(concatenated(parts))
    expect(got.taken).toEqual(parts.map(({ values }) => values.map((value) => 2 * value)))
    expect(joinAndPart(bench, parts, rows, [1, 2, 6])).toEqual(got)
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each([
    { C: 6, groups: 2 },
    { C: 6, groups: 3 },
    { C: 8, groups: 2 },
    { C: 10, groups: 5 },
    { C: 5, groups: 1 },
  ])('$C channels in $groups groups are shuffled, and back', ({ C, groups }) => {
    bench.clear()
    const [rows, S] = [7, padded(C)]
    const x = noise(rows * C, 1)
    const [from, y, back] = [bench.place(pad(x, C)), bench.room(rows * S), bench.place(pad(x, C))]
    for (const [start, end] of ranges(rows, [1, 4])) {
      bench.run('shuffleChannels', from, y, C, S, groups, 0, start, end)
      bench.run('shuffleChannels', y, back, C, S, C / groups, 1, start, end)
    }
    expect(bench.floats(y, rows * S)).toEqual(pad(shuffled(x, C, groups), C))
    expect(bench.floats(back, rows * S)).toEqual(pad(x, C).map((value) => 2 * value))
    expect(bench.guardsIntact()).toBe(true)
  })

  test.each([
    { images: 1, pixels: 1, C: 3 },
    { images: 3, pixels: 20, C: 6 },
    { images: 2, pixels: 300, C: 8 },
  ])('$images pictures of $pixels pixels and $C channels times factors', ({ images, pixels, C }) => {
    bench.clear()
    const [S, rows] = [padded(C), images * pixels]
    const [x, dy, factors] = [noise(rows * C, 1), noise(rows * C, 2), noise(images * C, 3)]
    const [xAt, dyAt, factorsAt] = [bench.place(pad(x, C)), bench.place(pad(dy, C)), bench.place(pad(factors, C))]
    const [y, added, dFactors, sums] = [
      bench.room(rows * S),
      bench.place(pad(x, C)),
      bench.place(new Float32Array(images * S).fill(0.5)),
      bench.place(new Float32Array(S)),
    ]
    for (const [start, end] of ranges(rows, [1, 7, 11])) {
      bench.run('scaleImages', xAt, factorsAt, y, pixels, S, 0, start, end)
      bench.run('scaleImages', xAt, factorsAt, added, pixels, S, 1, start, end)
    }
    for (const [start, end] of ranges(images, [1])) {
      bench.run('scaleImagesGradient', xAt, dyAt, dFactors, pixels, S, 1, start, end)
    }
    for (const [start, end] of ranges(S / 4, [1])) bench.run('productSums', xAt, dyAt, sums, S, rows, start, end)
    const expected = scaledImages(x, factors, C, pixels)
    expect(bench.floats(y, rows * S)).toEqual(pad(expected, C))
    expect(unpad(bench.floats(added, rows * S), C)).toEqual(expected.map((value, at) => value + (x[at] ?? 0)))
    const gradient = unpad(bench.floats(dFactors, images * S), C).map((value) => value - 0.5)
    expect(excess(gradient, productSums(x, dy, C, pixels))).toBeLessThan(2e-6 * pixels)
    expect(excess(bench.floats(sums, C), productSums(x, dy, C, rows))).toBeLessThan(2e-6 * rows)
    expect(bench.guardsIntact()).toBe(true)
  })
})

describe.skipIf(!hasOracle).each(builds)('channels against recorded PyTorch results (%s)', (build) => {
  const bench = new Bench(build)

  test.each(oracleCases(/^concat_channels/))('$name', (recorded) => {
    bench.clear()
    const [N = 1, all = 1, H = 1, W = 1] = recorded.tensor('output').shape
    const parts = ['a', 'b', 'c'].map((name) => ({
      name,
      values: channelsLast(recorded.tensor(name)),
      C: recorded.tensor(name).shape[1] ?? 1,
    }))
    const { joined } = joinAndPart(bench, parts, N * H * W)
    expect(recorded.excess('output', channelsFirst(joined, N, all, H * W))).toBeLessThanOrEqual(0)
    // The gradients are parts of the cotangent, as the parts are of the output.
    const cotangent = channelsLast(recorded.tensor('cotangent'))
    const dy = bench.place(pad(cotangent, all))
    let from = 0
    for (const { name, C } of parts) {
      const dx = bench.place(new Float32Array(N * H * W * padded(C)))
      bench.run('copyChannels', dy + 4 * from, dx, C, padded(all), padded(C), 0, 0, N * H * W)
      const gradient = unpad(bench.floats(dx, N * H * W * padded(C)), C)
      expect(recorded.excess(`grad_${name}`, channelsFirst(gradient, N, C, H * W))).toBeLessThanOrEqual(0)
      from += C
    }
  })

  test.each(oracleCases(/^channel_shuffle/))('$name', (recorded) => {
    bench.clear()
    const [N = 1, C = 1, H = 1, W = 1] = recorded.tensor('x').shape
    const groups = recorded.number('groups')
    const [rows, S] = [N * H * W, padded(C)]
    const run = (tensor: string, by: number) => {
      const y = bench.room(rows * S)
      const x = bench.place(pad(channelsLast(recorded.tensor(tensor)), C))
      bench.run('shuffleChannels', x, y, C, S, by, 0, 0, rows)
      return channelsFirst(unpad(bench.floats(y, rows * S), C), N, C, H * W)
    }
    expect(recorded.excess('output', run('x', groups))).toBeLessThanOrEqual(0)
    expect(recorded.excess('grad_x', run('cotangent', C / groups))).toBeLessThanOrEqual(0)
  })

  test.each(oracleCases(/^squeeze_excite/))('$name: the products, between layers in float64', (recorded) => {
    bench.clear()
    const [N = 1, C = 1, H = 1, W = 1] = recorded.tensor('x').shape
    const [pixels, S] = [H * W, padded(C)]
    const [x, dy] = [channelsLast(recorded.tensor('x')), channelsLast(recorded.tensor('cotangent'))]
    const [xAt, dyAt] = [bench.place(pad(x, C)), bench.place(pad(dy, C))]
    const sigmoid = recorded.config['gate'] === 'sigmoid'
    const [fc1, bias1, fc2, bias2] = ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias'].map((name) =>
      Array.from(recorded.tensor(name).values),
    ) as [number[], number[], number[], number[]]
    const gates = Array.from({ length: N }, (_, image) => {
      const means = productSums(x, new Float32Array(x.length).fill(1), C, pixels)
        .subarray(image * C, (image + 1) * C)
        .map((sum) => sum / pixels)
      const hidden = bias1.map((bias, h) => means.reduce((sum, mean, c) => sum + mean * (fc1[h * C + c] ?? 0), bias))
      const live = hidden.map((value) => Math.max(value, 0))
      const before = bias2.map((bias, c) =>
        live.reduce((sum, value, h) => sum + value * (fc2[c * live.length + h] ?? 0), bias),
      )
      const gate = before.map((value) =>
        sigmoid ? 1 / (1 + Math.exp(-value)) : Math.min(Math.max(value / 6 + 0.5, 0), 1),
      )
      const slope = before.map((value, c) =>
        sigmoid ? (gate[c] ?? 0) * (1 - (gate[c] ?? 0)) : Math.abs(value) < 3 ? 1 / 6 : 0,
      )
      return { hidden, gate, slope }
    })
    const gateAt = bench.place(pad(Float32Array.from(gates.flatMap(({ gate }) => gate)), C))
    const [y, dx, dGate] = [bench.room(x.length * 2), bench.room(x.length * 2), bench.room(N * S)]
    bench.run('scaleImages', xAt, gateAt, y, pixels, S, 0, 0, N * pixels)
    bench.run('scaleImages', dyAt, gateAt, dx, pixels, S, 0, 0, N * pixels)
    bench.run('scaleImagesGradient', xAt, dyAt, dGate, pixels, S, 0, 0, N)
    const output = unpad(bench.floats(y, N * pixels * S), C)
    expect(recorded.excess('output', channelsFirst(output, N, C, pixels))).toBeLessThanOrEqual(0)
    const dBefore = unpad(bench.floats(dGate, N * S), C).map(
      (d, at) => d * (gates[Math.floor(at / C)]?.slope[at % C] ?? 0),
    )
    expect(
      recorded.excess(
        'grad_fc2.bias',
        bias2.map((_, c) => gates.reduce((sum, _gate, image) => sum + (dBefore[image * C + c] ?? 0), 0)),
      ),
    ).toBeLessThanOrEqual(0)
    const dMeans = gates.flatMap(({ hidden }, image) => {
      const dHidden = hidden.map((value, h) =>
        value > 0
          ? bias2.reduce((sum, _, c) => sum + (dBefore[image * C + c] ?? 0) * (fc2[c * hidden.length + h] ?? 0), 0)
          : 0,
      )
      return bias2.map((_, c) => dHidden.reduce((sum, d, h) => sum + d * (fc1[h * C + c] ?? 0), 0) / pixels)
    })
    const gradient = unpad(bench.floats(dx, N * pixels * S), C).map(
      (value, at) => value + (dMeans[Math.floor(at / (pixels * C)) * C + (at % C)] ?? 0),
    )
    expect(recorded.excess('grad_x', channelsFirst(gradient, N, C, pixels))).toBeLessThanOrEqual(0)
  })
})
