import { expect, test } from 'vitest'
import { EPOCHS, earlyStopping, PATIENCE } from './early-stopping.ts'

test('patience ends a training that gets no better, on the same way, and loses little', async () => {
  const { whole, patient } = await earlyStopping()
  expect(whole.history).toHaveLength(EPOCHS)
  expect(patient.history.length).toBeLessThan(EPOCHS / 2)
  expect(patient.history.length).toBe(patient.bestEpoch + PATIENCE)
  expect(patient.stopped).toContain('no better validation')
  const accuracies = (training: typeof whole) => training.history.map((epoch) => epoch.validationAccuracy)
  expect(accuracies(patient)).toEqual(accuracies(whole).slice(0, patient.history.length))
  // What was kept, against all that would have come.
  const kept = accuracies(patient)[patient.bestEpoch - 1] ?? Number.NaN
  expect(kept).toBeGreaterThan(Math.max(...accuracies(whole)) - 0.03)
  // The training loss went on falling, the validation loss did not.
  const [stopped, last] = [whole.history[patient.history.length - 1], whole.history.at(-1)]
  expect(last?.trainLoss).toBeLessThan(0.7 * (stopped?.trainLoss ?? 0))
  expect(last?.validationLoss).toBeGreaterThan(0.97 * (stopped?.validationLoss ?? 0))
})
