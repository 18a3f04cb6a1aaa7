import { describe, expect, test } from 'vitest'
import { attention } from '../reference/attention.ts'
import { Bench, builds } from '../support/kernels.ts'
import { excess, noise, ranges } from '../support/values.ts'

describe.each(builds)('attention (%s)', (build) => {
  const bench = new Bench(build)

  test.each([
    { images: 1, T: 1, D: 4, heads: 1 },
    { images: 2, T: 5, D: 12, heads: 3 },
    { images: 1, T: 17, D: 48, heads: 2 },
    { images: 3, T: 8, D: 16, heads: 1 },
  ])('$images pictures of $T tokens, $D channels, $heads heads agree with the plain loop', (size) => {
    const { images, T, D, heads } = size
    const units = images * heads
    const qkv = noise(images * T * 3 * D, 1).map((value) => 2 * value)
    const dy = noise(images * T * D, 2)
    const run = (cuts: readonly number[]) => {
      bench.clear()
      const [from, gradient, scratch] = [bench.place(qkv), bench.place(dy), bench.room(4 * T + 16)]
      const [y, dqkv, added] = [bench.room(dy.length), bench.room(qkv.length), bench.place(qkv)]
      for (const [start, end] of ranges(units, cuts)) {
        bench.run('attentionForward', from, y, T, D, heads, scratch, start, end)
        bench.run('attentionBackward', from, gradient, dqkv, T, D, heads, 0, scratch, start, end)
        bench.run('attentionBackward', from, gradient, added, T, D, heads, 1, scratch, start, end)
      }
      expect(bench.guardsIntact()).toBe(true)
      const [outputs, slopes, sums] = [y, dqkv, added].map((place, at) =>
        bench.floats(place, at === 0 ? dy.length : qkv.length),
      )
      return { outputs: outputs ?? dy, slopes: slopes ?? dy, sums: sums ?? dy }
    }
    const got = run([])
    const expected = attention(qkv, dy, size)
    expect(excess(got.outputs, expected.y)).toBeLessThan(5e-6)
    expect(excess(got.slopes, expected.dqkv)).toBeLessThan(2e-5)
    expect(
      excess(
        got.sums,
        expected.dqkv.map((value, at) => value + (qkv[at] ?? 0)),
      ),
    ).toBeLessThan(2e-5)
    expect(run([1, 2])).toEqual(got)
  })
})
