// What lets the wide kernels pass: the same bits in every kernel, and speed.

import { describe, expect, test } from 'vitest'
import { createArena } from '../../src/kernels/arena.ts'
import { type KernelTable, selfCheck } from '../../src/kernels/self-check.ts'
import { selfCheckCalls } from '../../src/kernels/self-check-calls.ts'
import { judge } from '../../src/kernels/wide.ts'
import { instantiate, type KernelBuild } from '../support/dense-kernels.ts'

const arena = createArena(2 ** 24, 65_536)
const tableOf = (build: KernelBuild): KernelTable => instantiate(build, arena.memory)
const relaxed = tableOf('relaxed')
const noPlaces = { floats: () => 0, geometry: () => 0 }
const checked = [...new Set(selfCheckCalls(noPlaces).map(({ kernel }) => kernel))]

/** The kernels, of which some do something else. */
function changed(changes: Partial<KernelTable>): KernelTable {
  return { ...relaxed, ...changes } as KernelTable
}

/** A kernel that does its work so many times. */
function slowed(name: string, times: number): KernelTable {
  return changed({
    [name]: (...values) => {
      for (let time = 0; time < times; time++) relaxed[name]?.(...values)
    },
  })
}

describe('the self-check', () => {
  test.each(['relaxed', 'relaxed-6x8', 'relaxed-256'] as const)('finds the same bits in %s', (build) => {
    const before = arena.usedBytes()
    const { differs, speedup } = selfCheck(relaxed, tableOf(build), arena)
    expect(differs).toBeUndefined()
    expect(speedup).toBeGreaterThan(0)
    expect(arena.usedBytes()).toBe(before)
  })

  test('finds that the baseline rounds otherwise', () => {
    const result = selfCheck(relaxed, tableOf('baseline'), arena)
    expect(result.differs).toBe('matmul')
    expect(judge(result)).toEqual({ passed: false, note: expect.stringContaining('matmul gives other results') })
  })

  test.each(checked)('names %s when its bits differ', (kernel) => {
    const result = selfCheck(relaxed, changed({ [kernel]: () => undefined }), arena)
    expect(result.differs).toBe(kernel)
    expect(judge(result).passed).toBe(false)
  })

  test('sees one wrong bit', () => {
    // The sign of the first number that the sums are added to.
    const flip: KernelTable[string] = (...values) => {
      relaxed['sumRows']?.(...values)
      const sum = new Uint32Array(arena.memory.buffer, values[3], 1)
      sum[0] = (sum[0] ?? 0) ^ 0x80000000
    }
    expect(selfCheck(relaxed, changed({ sumRows: flip }), arena).differs).toBe('sumRows')
  })

  test('lets only what is faster pass', () => {
    const faster = selfCheck(slowed('matmul', 3), relaxed, arena)
    expect(faster.speedup).toBeGreaterThan(2)
    expect(judge(faster)).toEqual({
      passed: true,
      note: expect.stringMatching(/^256-bit vectors: [\d.]+ times as fast/),
    })
    const same = judge(selfCheck(relaxed, slowed('matmul', 1), arena))
    expect(same).toEqual({
      passed: false,
      note: expect.stringMatching(/^128-bit vectors: .* only [\d.]+ times as fast/),
    })
    expect(judge(selfCheck(relaxed, slowed('matmul', 3), arena)).passed).toBe(false)
  })

  test('needs room', () => {
    expect(() => selfCheck(relaxed, relaxed, createArena(2 ** 20, 65_536))).toThrow(/self-check/)
  })
})
