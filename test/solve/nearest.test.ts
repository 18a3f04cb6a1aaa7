import { expect, test } from 'vitest'
import { randomStream } from '../../src/random.ts'
import { classCentres } from '../../src/solve/class-centres.ts'
import { neighbourVotes } from '../../src/solve/neighbour-votes.ts'
import { meanCrossEntropy, outputScale } from '../../src/solve/output-scale.ts'

const random = randomStream({ seed: 9, purpose: 'nearest' })
const columns = 6
const classes = 3
const labels = Int32Array.from({ length: 40 }, (_, row) => row % classes)
const values = Float32Array.from({ length: 40 * columns }, () => random.normal())

/** Plain loops over what is left when some rows are taken out. */
function centreWithout(label: number, left: number): number[] {
  const own = [...labels.keys()].filter((row) => labels[row] === label && row !== left)
  return Array.from(
    { length: columns },
    (_, c) => own.reduce((sum, row) => sum + (values[row * columns + c] ?? 0), 0) / own.length,
  )
}

const distance = (row: number, centre: readonly number[]) =>
  centre.reduce((sum, value, c) => sum + ((values[row * columns + c] ?? 0) - value) ** 2, 0)

test('the linear map of class centres finds the nearest centre', async () => {
  const { map, leftOut } = await classCentres(values, columns, labels, classes)
  for (let row = 0; row < labels.length; row++) {
    const outputs = Array.from({ length: classes }, (_, k) => {
      let sum = map.bias[k] ?? 0
      for (let c = 0; c < columns; c++) sum += (map.weight[k * columns + c] ?? 0) * (values[row * columns + c] ?? 0)
      return sum
    })
    const distances = [0, 1, 2].map((k) => distance(row, centreWithout(k, -1)))
    for (const k of [1, 2])
      expect((outputs[k] ?? 0) - (outputs[0] ?? 0)).toBeCloseTo(((distances[0] ?? 0) - (distances[k] ?? 0)) / 2, 10)
    for (const k of [0, 1, 2])
      expect(leftOut[row * classes + k]).toBeCloseTo(-distance(row, centreWithout(k, row)) / 2, 10)
  }
})

test('the scale of outputs makes the labels most likely', () => {
  const truth = 3.7
  // Labels drawn from the probabilities of outputs times 3.7.
  const outputs = Float64Array.from({ length: 6000 }, () => random.normal())
  const drawn = Int32Array.from({ length: 2000 }, (_, row) => {
    const powers = [0, 1, 2].map((c) => Math.exp(truth * (outputs[row * 3 + c] ?? 0)))
    let left = random.uniform() * powers.reduce((sum, power) => sum + power, 0)
    for (const [c, power] of powers.entries()) {
      left -= power
      if (left < 0) return c
    }
    return 2
  })
  const scale = outputScale(outputs, drawn, 3)
  expect(scale).toBeGreaterThan(3.2)
  expect(scale).toBeLessThan(4.3)
  for (const factor of [0.98, 1.02])
    expect(meanCrossEntropy(outputs, drawn, 3, scale * factor)).toBeGreaterThan(
      meanCrossEntropy(outputs, drawn, 3, scale),
    )
})

test('neighbours vote by their cosine', () => {
  const neighbours = [
    { row: 4, score: 1 },
    { row: 0, score: 0.5 },
    { row: 1, score: 0 },
    { row: 2, score: -1 },
  ]
  const votes = (count: number) => [...neighbourVotes(neighbours, count, (row) => row % 2, 2)].map(Math.exp)
  expect(votes(1)).toEqual([expect.closeTo(1.5 / 2, 12), expect.closeTo(0.5 / 2, 12)])
  expect(votes(3)).toEqual([expect.closeTo(2.25 / 3.25, 12), expect.closeTo(1 / 3.25, 12)])
  expect([...neighbourVotes([], 5, () => 0, 4)].map(Math.exp)).toEqual(
    [0.25, 0.25, 0.25, 0.25].map((p) => expect.closeTo(p, 12)),
  )
})
