import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { classWeightsOf } from '../../src/transfer/class-weights.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const folder = temporaryFolder()
const classes = ['rose', 'tulip', 'toString']

function given(text: string) {
  const file = join(folder, 'weights.json')
  writeFileSync(file, text)
  return classWeightsOf(file, classes, [0, 1, 2])
}

test('auto weighs each class by what it lacks, and is 1 in the mean over all pictures', async () => {
  const labels = [0, 0, 0, 0, 0, 0, 1, 1, 2]
  const weights = await classWeightsOf('auto', classes, labels)
  expect(weights).toEqual([0.5, 1.5, 3])
  expect(labels.reduce((sum, label) => sum + (weights[label] ?? 0), 0) / labels.length).toBeCloseTo(1)
})

test('auto of several labels weighs those that are there by those that are not', async () => {
  const several = Float32Array.of(1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0)
  expect(await classWeightsOf('auto', classes, [0, 0, 0, 0], several)).toEqual([1 / 4, 3, 3])
})

test('a file says what each class weighs', async () => {
  expect(await given('{"tulip": 0.5, "rose": 2, "toString": 1}')).toEqual([2, 0.5, 1])
})

test.each([
  ['{"tulip": 1, "rose": 2}', /the class 'toString' is missing/],
  ['{"tulip": 1, "rose": 2, "toString": 1, "rosa": 1}', /no class 'rosa'. Did you mean 'rose'/],
  ['{"tulip": 0, "rose": 2, "toString": 1}', /'tulip' must be above 0/],
  ['{"tulip": "1", "rose": 2, "toString": 1}', /'tulip' must be above 0/],
  ['[1, 2, 3]', /expected an object/],
])('%s is refused', async (text, problem) => {
  await expect(given(text)).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(problem) })
})
