import { expect, test } from 'vitest'
import type { Contestant } from '../../bench/contestants.ts'
import { inTurns, ratios, statistic } from '../../bench/timing.ts'

test('the median stands in the middle, also between two', () => {
  expect(statistic([3, 1, 2])).toEqual({ median: 2, lowest: 1, highest: 3 })
  expect(statistic([4, 1, 2, 10])).toEqual({ median: 3, lowest: 1, highest: 10 })
})

test('ratios are those of the same round', () => {
  expect(ratios([2, 9], [1, 3])).toEqual([2, 3])
})

test('time is taken in turns and told per call', async () => {
  const turns: string[] = []
  const contestant = (label: string, seconds: number): Contestant => ({
    entrant: { label, command: [''], threads: 1, restMs: 0 },
    introduction: { is: label, details: '' },
    load: async () => {},
    check: async () => ({ arrays: {}, numbers: {} }),
    unload: async () => {},
    peakBytes: async () => 0,
    close: async () => {},
    async time() {
      turns.push(label)
      return { calls: 4, seconds: 4 * seconds * turns.length }
    },
  })
  const seconds = await inTurns([contestant('a', 1), contestant('b', 2)], 2)
  expect(turns.join('')).toBe('ababab')
  expect(seconds).toEqual([
    [3, 5],
    [8, 12],
  ])
})
