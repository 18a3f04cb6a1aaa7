import { describe, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import type { WeightAverage } from '../../src/optim/weight-average.ts'
import { notesOf, type OneWeight, type Setting, trainOneWeight } from './one-weight.ts'

const values = [1, 2, 3, 4, 5, 6, 7]

test('steps go by the mean over their pictures, in however many batches they come', async () => {
  const whole = await trainOneWeight({ values, batchSize: 4 })
  expect(whole.network.weight).toBeCloseTo(0.5 * (0.5 * 2.5) + 0.5 * 6)
  for (const [batchSize, accumulate] of [
    [2, 2],
    [1, 4],
  ] as const) {
    const parts = await trainOneWeight({ values, batchSize, accumulate })
    expect(parts.network.weight).toBeCloseTo(whole.network.weight, 6)
    expect(parts.network.updates).toBe(2)
    const [record, expected] = [parts, whole].map(({ result }) => result?.progress.history[0])
    expect(record?.trainLoss).toBeCloseTo(expected?.trainLoss ?? 0, 6)
  }
})

describe('early stopping', () => {
  const accuracies = [0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.7, 0.7]
  const run = async (patience: number) => {
    const metric: Setting['metric'] = (_, epoch) => accuracies[epoch - 1] ?? 0
    const { result, network } = await trainOneWeight({ values, epochs: accuracies.length, patience, metric })
    const { history, bestEpoch } = result?.progress ?? { history: [], bestEpoch: 0 }
    return {
      epochs: history.length,
      bestEpoch,
      stopped: result?.stopped,
      kept: network.bests.map(({ epoch }) => epoch),
    }
  }

  test('ends after so many epochs without a better validation, and the best one is kept', async () => {
    expect(await run(2)).toEqual({
      epochs: 4,
      bestEpoch: 2,
      stopped: 'no better validation for 2 epochs',
      kept: [1, 2],
    })
    // One more, and the epoch that is better comes in time.
    expect(await run(3)).toMatchObject({ epochs: 8, bestEpoch: 5, kept: [1, 2, 5] })
  })

  test('is off with a patience of 0', async () => {
    expect(await run(0)).toEqual({ epochs: 8, bestEpoch: 5, stopped: undefined, kept: [1, 2, 5] })
  })
})

describe('numbers that are not finite', () => {
  const poisoned = [1, 2, Number.NaN, 4, 5, 6]

  test('a step with such a loss is not made, and its files are named', async () => {
    const { error, network } = await trainOneWeight({ values: poisoned, batchSize: 2, rate: 0.5 })
    expect(error).toMatchObject({ code: 'usage', exitCode: 2 })
    expect(String(error)).toMatch(/The loss is NaN in epoch 1, step 2 \(2\.png, 3\.png\)/)
    expect(String(error)).toMatch(/lower --lr .*--clip-grad.*--on-nan lower-lr/)
    expect({ weight: network.weight, statistic: network.statistic, updates: network.updates }).toEqual({
      weight: 0.75,
      statistic: 3,
      updates: 1,
    })
  })

  test('nor is one whose loss is finite and whose gradient is not', async () => {
    const norm: Setting['norm'] = ({ updates }, gradient) => (updates === 3 ? Number.POSITIVE_INFINITY : gradient)
    const { error, network } = await trainOneWeight({ values, norm })
    expect(String(error)).toMatch(/The norm of the gradient is Infinity in epoch 1, step 4 \(3\.png\)/)
    expect(network.updates).toBe(3)
  })

  test('skip leaves the step out, and says so', async () => {
    const { result, network } = await trainOneWeight({ values: poisoned, batchSize: 2, onNan: 'skip', epochs: 2 })
    expect(notesOf(network)).toEqual([
      'The loss is NaN in epoch 1, step 2 (2.png, 3.png); the step is skipped.',
      'The loss is NaN in epoch 2, step 2 (2.png, 3.png); the step is skipped.',
    ])
    const clean = await trainOneWeight({ values: [1, 2, 5, 6], batchSize: 2, epochs: 2 })
    expect(network.weight).toBe(clean.network.weight)
    expect(network.statistic).toBe(clean.network.statistic)
    expect(result?.progress).toMatchObject({ stepsDone: 6, stepsSkipped: 2, skippedInARow: 0 })
    // Pictures that were not learned from do not count.
    expect(result?.progress.history.map(({ trainLoss }) => trainLoss)).toEqual(
      clean.result?.progress.history.map(({ trainLoss }) => trainLoss),
    )
  })

  test('skip ends when it does not help', async () => {
    const { error, network } = await trainOneWeight({ values: Array(30).fill(Number.NaN), onNan: 'skip' })
    expect(String(error)).toMatch(/in epoch 1, step 11 .*skipping steps does not help/)
    expect(notesOf(network)).toHaveLength(10)
    expect(network).toMatchObject({ weight: 0, updates: 0, bests: [] })
  })

  test('lower-lr goes back to the beginning of the epoch with a tenth of the rate', async () => {
    const wanted: Setting = { values, epochs: 3, rate: 0.5, metric: (_, epoch) => epoch / 10 }
    const calm = await trainOneWeight(wanted)
    const wild = await trainOneWeight({
      ...wanted,
      rate: 5,
      onNan: 'lower-lr',
      onBatch(network) {
        // Descent with a rate above 2 grows without end.
        if (Math.abs(network.weight) > 1000) network.weight = Number.POSITIVE_INFINITY
      },
    })
    expect(wild.error).toBeUndefined()
    expect(notesOf(wild.network)).toHaveLength(1)
    expect(notesOf(wild.network)[0]).toMatch(/goes back to the beginning of the epoch, with a learning rate of 0\.5\./)
    expect(wild.network).toMatchObject({ weight: calm.network.weight, statistic: calm.network.statistic })
    expect(wild.result?.progress.timesLowered).toBe(1)
    const metrics = (run: typeof calm) => run.result?.progress.history.map(({ seconds: _, ...record }) => record)
    expect(metrics(wild)).toEqual(metrics(calm))
  })

  test('lower-lr ends after three times', async () => {
    const { error, network } = await trainOneWeight({ values: [Number.NaN], onNan: 'lower-lr', rate: 1 })
    expect(notesOf(network).map((note) => /rate of (\S+)\.$/.exec(note)?.[1])).toEqual(['0.1', '0.01', '0.001'])
    expect(String(error)).toMatch(/also with a rate lowered 3 times/)
  })

  test.each(['stop', 'skip', 'lower-lr'] as const)(
    'weights that a step made infinite reach neither a checkpoint nor the best (%s)',
    async (onNan) => {
      const { error, network } = await trainOneWeight({
        values: [1e10, 1e10],
        rate: 1e308,
        onNan,
        metric: () => 1,
        batchSize: 2,
        epochs: 2,
      })
      expect(error).toBeInstanceOf(RegraftError)
      expect(String(error)).toMatch(/Weights are no longer finite in epoch 1, after step 1/)
      expect(network.bests).toEqual([])
      expect(network.saves).toEqual([])
    },
  )

  test('a weight that is poisoned on the way is found before the next checkpoint', async () => {
    let saves = 0
    const { error, network } = await trainOneWeight({
      values,
      onBatch: (each) => {
        if (each.updates === 4) each.weight = Number.NaN
      },
      keeper: {
        due: () => true,
        async save() {
          saves += 1
        },
        async keepBest() {},
        rewind: () => Promise.reject(new Error('not asked for')),
      },
    })
    expect(String(error)).toMatch(/in epoch 1, step 5 \(4\.png\)/)
    expect(saves).toBe(4)
    expect(network.bests).toEqual([])
  })

  test('a metric that is none never wins', async () => {
    const metric = (_: unknown, epoch: number) => [Number.NaN, 0.5, Number.NaN, 0.4][epoch - 1] ?? 0
    const { result, network } = await trainOneWeight({ values, epochs: 4, metric })
    expect(network.bests.map(({ epoch }) => epoch)).toEqual([2])
    expect(result?.progress.bestEpoch).toBe(2)
  })
})

test('an average is validated and kept in the place of the weights, which go on as they were', async () => {
  const plain = await trainOneWeight({ values, epochs: 2, metric: () => 1 })
  const network: OneWeight = { weight: 0, statistic: 0, updates: 0, saves: [], bests: [], events: [], seen: [] }
  let average = 100
  const steps: number[] = []
  const validated: number[] = []
  const averaging: Partial<WeightAverage> = {
    program: { id: 7 },
    setStep: (step) => steps.push(step),
    swap() {
      ;[average, network.weight] = [network.weight, average]
    },
  }
  const metric = ({ weight }: OneWeight, epoch: number) => {
    validated.push(weight)
    return epoch
  }
  // Only these parts of it are used by the loop.
  const setting = { values, epochs: 2, metric, average: averaging as WeightAverage }
  const { result } = await trainOneWeight(setting, network)
  expect(result?.progress.bestEpoch).toBe(2)
  expect(validated).toEqual([100, 100])
  expect(steps).toEqual(Array.from({ length: 2 * values.length }, (_, step) => step))
  expect(network.weight).toBe(plain.network.weight)
  expect(network.saves.map(({ weight }) => weight)).toEqual(plain.network.saves.map(({ weight }) => weight))
})

describe('a stop', () => {
  const setting: Setting = { values, batchSize: 2, accumulate: 2, epochs: 3, metric: (network) => network.weight }

  /** Stops when the n-th batch is about to be computed. */
  async function stoppedAt(n: number) {
    const controller = new AbortController()
    let batches = 0
    const stopped = await trainOneWeight({
      ...setting,
      signal: controller.signal,
      onBatch() {
        batches += 1
        if (batches < n) return
        controller.abort(new RegraftError('interrupted', 'Stopped by a test.'))
        controller.signal.throwIfAborted()
      },
    })
    expect(stopped.error).toMatchObject({ code: 'interrupted' })
    return stopped.network
  }

  test('in any batch is saved at the last step that was made, and goes on to the same end', async () => {
    const { network: expected, result } = await trainOneWeight(setting)
    for (let n = 1; n <= expected.seen.length; n++) {
      const network = await stoppedAt(n)
      const from = network.saves.at(-1)
      expect(from?.weight).toBe(network.weight)
      const resumed = await trainOneWeight({ ...setting, ...(from && { from: from.progress }) }, network)
      expect(resumed.error).toBeUndefined()
      const { weight, statistic, updates, bests } = resumed.network
      expect({ weight, statistic, updates }).toEqual({
        weight: expected.weight,
        statistic: expected.statistic,
        updates: expected.updates,
      })
      expect(bests.map(({ epoch }) => epoch)).toEqual(expected.bests.map(({ epoch }) => epoch))
      const histories = [resumed.result, result].map((each) =>
        each?.progress.history.map(({ seconds: _, ...record }) => record),
      )
      expect(histories[0]).toEqual(histories[1])
    }
  })
})
