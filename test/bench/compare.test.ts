import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { compareChecked, compareToTruth, relativeDifference } from '../../bench/compare.ts'

const folder = mkdtempSync(join(tmpdir(), 'regraft-compare-'))
afterAll(() => rmSync(folder, { recursive: true }))

function checked(name: string, output: number[], numbers: Record<string, number> = {}) {
  const file = join(folder, `${name}.f32`)
  writeFileSync(file, Float32Array.from(output))
  return { arrays: { output: file }, numbers }
}

test('the difference is relative to the norm of what should come out', () => {
  expect(relativeDifference([3, 4, 1], [3, 4, 0])).toBeCloseTo(0.2)
  expect(relativeDifference([1], [1, 2])).toBe(Number.POSITIVE_INFINITY)
  expect(relativeDifference([Number.NaN], [1])).toBe(Number.POSITIVE_INFINITY)
})

test('two contestants that agree are told how well', () => {
  const ours = checked('ours', [3, 4], { loss: 2 })
  const theirs = checked('theirs', [3, 4], { loss: 2.5 })
  expect(compareChecked('line', ours, theirs, { label: 'them', within: 0.3 })).toBeCloseTo(0.2)
})

test('results that differ are refused with names and amounts', () => {
  const ours = checked('ours', [3, 4, 1])
  const theirs = checked('theirs', [3, 4, 0])
  const opponent = { label: 'them', within: 0.1 }
  expect(() => compareChecked('line', ours, theirs, opponent)).toThrow(/line: them differs in output by 2.0e-1/)
  expect(() => compareChecked('line', ours, { arrays: {}, numbers: {} }, opponent)).toThrow(/nothing to compare/)
  expect(() => compareToTruth('line', ours, { output: [3, 5] }, 0.1)).toThrow(/plain loops differs/)
  compareToTruth('line', ours, { output: [3, 4] }, 0)
})
