// What an error of a gradient is called.
import { expect, test } from 'vitest'
import { isGood, loosening, verdictOn } from '../../src/transfer/gradient-verdict.ts'

const of = (error: number, depth = 1) => verdictOn({ error, noise: 0, depth })

test('errors are judged by the limits of the notes', () => {
  expect([0.9e-7, 1.1e-7, 0.9e-4, 1.1e-4, 0.9e-2, 1.1e-2].map((error) => of(error))).toEqual([
    'excellent',
    'acceptable',
    'acceptable',
    'suspicious',
    'suspicious',
    'wrong',
  ])
  expect(of(Number.NaN)).toBe('not judged')
  expect((['excellent', 'acceptable', 'suspicious', 'wrong'] as const).map(isGood)).toEqual([true, true, false, false])
})

test('limits are looser far from the loss', () => {
  expect([of(1.5e-4, 1), of(1.5e-4, 25), of(1.5e-4, 50)]).toEqual(['suspicious', 'suspicious', 'acceptable'])
  expect([of(1.5e-2, 25), of(1.5e-2, 50)]).toEqual(['wrong', 'suspicious'])
  const depths = [1, 10, 25, 26, 50, 100].map(loosening)
  expect(depths).toEqual([...depths].sort((a, b) => a - b))
  expect(depths[0]).toBe(1)
})
