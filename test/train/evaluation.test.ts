import { expect, test } from 'vitest'
import { calibrationOf } from '../../src/train/calibration.ts'
import { metricsOf, topCount } from '../../src/train/classification.ts'
import { evaluationOf } from '../../src/train/evaluation.ts'
import { wilson } from '../../src/train/wilson.ts'

/** Logits that put this class first, and the one behind it second. */
function votes(...first: readonly (readonly [number, number])[]): Float32Array {
  const logits = new Float32Array(first.length * 3)
  for (const [row, [best, second]] of first.entries()) {
    logits[row * 3 + best] = 2
    logits[row * 3 + second] = 1
  }
  return logits
}

// Truth a a a a b b c; said a a b c b a c.
const logits = votes([0, 1], [0, 2], [1, 0], [2, 1], [1, 0], [0, 1], [2, 0])
const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 2)
const paths = Array.from(labels, (_, index) => `${index}.png`)

test('accuracy, top 2, balanced accuracy and macro F1 are those of their definitions', () => {
  const metrics = metricsOf(logits, labels, 3)
  expect(metrics.count).toBe(7)
  expect(metrics.accuracy).toBeCloseTo(4 / 7, 12)
  // Not among the first two: the a that was taken for c before b.
  expect(metrics.topAccuracy).toBeCloseTo(6 / 7, 12)
  expect(metrics.balancedAccuracy).toBeCloseTo((2 / 4 + 1 / 2 + 1) / 3, 12)
  // F1 = 2 hits / (pictures + predicted)
  expect(metrics.macroF1).toBeCloseTo((4 / 7 + 2 / 4 + 2 / 3) / 3, 12)
})

test('a class without pictures counts in no mean, and outputs that are no numbers are wrong', () => {
  const outputs = Float32Array.of(1, 0, 0, Number.NaN, 0, 0)
  const metrics = metricsOf(outputs, Int32Array.of(0, 0), 3)
  expect(metrics).toMatchObject({ accuracy: 0.5, topAccuracy: 0.5, balancedAccuracy: 0.5 })
  expect(metrics.macroF1).toBeCloseTo(2 / 3, 12)
  expect(metrics.loss).toBeNaN()
})

test('the top-k accuracy looks at as many classes as tell something', () => {
  expect([2, 3, 5, 6, 1000].map(topCount)).toEqual([2, 2, 2, 5, 5])
  // Of equal outputs the first counts as larger.
  expect(metricsOf(new Float32Array(4), Int32Array.of(3), 4).topAccuracy).toBe(0)
  expect(metricsOf(new Float32Array(4), Int32Array.of(1), 4).topAccuracy).toBe(1)
})

test("Wilson's interval", () => {
  // Brown, Cai, DasGupta 2001 and scipy.stats.binomtest(k, n).proportion_ci(method='wilson').
  for (const [hits, trials, low, high] of [
    [3, 4, 0.3006, 0.9544],
    [77, 100, 0.6785, 0.8416],
    [0, 20, 0, 0.1611],
    [20, 20, 0.8389, 1],
  ] as const) {
    const [from, to] = wilson(hits, trials) ?? []
    expect(from).toBeCloseTo(low, 3)
    expect(to).toBeCloseTo(high, 3)
  }
  expect(wilson(0, 0)).toBeNull()
})

test('an evaluation has confusion, scores, pairs and the worst mistakes first', async () => {
  const evaluation = await evaluationOf({ logits, labels, paths }, ['a', 'b', 'c'])
  expect(evaluation.confusion).toEqual([
    [2, 1, 1],
    [1, 1, 0],
    [0, 0, 1],
  ])
  const [a, b] = evaluation.classes
  expect(a).toMatchObject({ name: 'a', images: 4, predicted: 3, precision: 2 / 3, recall: 0.5, f1: 4 / 7 })
  expect(b).toMatchObject({ images: 2, predicted: 2, precision: 0.5, recall: 0.5, f1: 0.5 })
  for (const { f1, f1Interval } of evaluation.classes) {
    expect(f1Interval?.[0]).toBeLessThan(f1 ?? Number.NaN)
    expect(f1Interval?.[1]).toBeGreaterThanOrEqual(f1 ?? Number.NaN)
  }
  expect(evaluation.confused).toEqual([
    { truth: 'a', predicted: 'b', images: 1, share: 0.25 },
    { truth: 'a', predicted: 'c', images: 1, share: 0.25 },
    { truth: 'b', predicted: 'a', images: 1, share: 0.5 },
  ])
  expect(evaluation.mistakes.map(({ path }) => path)).toEqual(['3.png', '2.png', '5.png'])
  const [worst] = evaluation.mistakes
  const total = Math.exp(2) + Math.exp(1) + 1
  expect(worst).toMatchObject({ truth: 'a', predicted: 'c' })
  expect(worst?.score).toBeCloseTo(Math.exp(2) / total, 9)
  expect(worst?.truthScore).toBeCloseTo(1 / total, 9)
})

test('no more than 24 mistakes and 20 pairs are told', async () => {
  const names = Array.from({ length: 30 }, (_, index) => `class ${index}`)
  const wrong = new Float32Array(30 * 30)
  for (let row = 0; row < 30; row++) wrong[row * 30 + ((row + 1) % 30)] = 1 + row / 100
  const all = { logits: wrong, labels: Int32Array.from(names.keys()), paths: names }
  const { mistakes, confused } = await evaluationOf(all, names)
  expect([mistakes.length, confused.length]).toEqual([24, 20])
  expect(mistakes[0]?.path).toBe('class 29')
})

test('the calibration error is the mean distance of confidence and accuracy', async () => {
  // Ten pictures with the same outputs, of which seven are right.
  const same = Float32Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? Math.log(9) : 0))
  const truth = Int32Array.of(0, 0, 0, 0, 0, 0, 0, 1, 1, 1)
  const calibration = await calibrationOf({ logits: same, labels: truth, paths: [] }, 2)
  expect(calibration.error).toBeCloseTo(0.9 - 0.7, 6)
  expect(calibration.bins.filter(({ images }) => images > 0)).toEqual([
    { from: 13 / 15, to: 14 / 15, images: 10, confidence: expect.closeTo(0.9, 6), accuracy: 0.7 },
  ])
  // The temperature that makes 0.9 a 0.7: ln 9 / T = ln(7/3).
  expect(calibration.temperature).toBeCloseTo(Math.log(9) / Math.log(7 / 3), 4)
  expect(calibration.errorAfter).toBeLessThan(1e-4)
  expect(calibration.lossAfter).toBeCloseTo(-(0.7 * Math.log(0.7) + 0.3 * Math.log(0.3)), 5)
})

test('where all is right the temperature stays within bounds', async () => {
  const calibration = await calibrationOf({ logits: Float32Array.of(1, 0), labels: Int32Array.of(0), paths: [] }, 2)
  expect(calibration.temperature).toBeCloseTo(1 / 20, 3)
  expect(calibration.lossAfter).toBeLessThan(1e-6)
})
