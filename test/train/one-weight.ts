// A network of one weight, in plain arithmetic: loss = (weight - picture)²/2, averaged over the pictures of a step.
import type { Updater } from '../../src/optim/updater.ts'
import type { Runner } from '../../src/runtime/runner.ts'
import type { EpochRecord, WorkEvent } from '../../src/train/events.ts'
import { type FitOptions, fit } from '../../src/train/fit.ts'
import { nothingDone, type Progress } from '../../src/train/progress.ts'
import type { TrainingBatch } from '../../src/train/step.ts'
import { timeBudget } from '../../src/train/time-budget.ts'

export interface OneWeight {
  weight: number
  /** What forward passes leave behind: a running mean. */
  statistic: number
  /** Steps that were applied. */
  updates: number
  readonly saves: { readonly weight: number; readonly progress: Progress }[]
  readonly bests: EpochRecord[]
  readonly events: WorkEvent[]
  /** Weights that a batch was computed with. */
  readonly seen: number[]
}

export interface Setting extends Partial<Omit<FitOptions, 'batches'>> {
  /** The epoch's pictures are these values, in their order. */
  readonly values: readonly number[]
  readonly signal?: AbortSignal
  /** Called before a batch is computed. */
  readonly onBatch?: (network: OneWeight, batch: readonly number[]) => void
  readonly metric?: (network: OneWeight, epoch: number) => number
  /** What the measure of the gradient gives. */
  readonly norm?: (network: OneWeight, gradient: number) => number
}

/** Trains it with plain gradient descent. @returns what became of it, with the error if there was one */
export async function trainOneWeight(
  { values, signal, onBatch, metric, norm, ...options }: Setting,
  network: OneWeight = { weight: 0, statistic: 0, updates: 0, saves: [], bests: [], events: [], seen: [] },
) {
  let gradient = 0
  let rate = 0
  let input: readonly number[] = []
  let weights = new Float32Array()
  let losses = new Float64Array()
  let epoch = 0
  const runner: Partial<Runner> = {
    graph: { output: 'x', features: 'x', layers: [] },
    loss: { kind: 'ce' },
    writeTargets: (_, given = new Float32Array()) => {
      weights = given.slice()
    },
    async run() {
      signal?.throwIfAborted()
      onBatch?.(network, input)
      network.seen.push(network.weight)
      losses = Float64Array.from(input, (value, at) => ((network.weight - value) ** 2 / 2) * (weights[at] ?? 0))
      gradient += input.reduce((sum, value, at) => sum + (network.weight - value) * (weights[at] ?? 0), 0)
      for (const value of input) network.statistic += value
    },
    losses: () => losses,
    read: () => new Float32Array(input.length),
  }
  const updater: Partial<Updater> = {
    measure: { id: 1 },
    gradientNorm: () => norm?.(network, gradient) ?? Math.abs(gradient),
    setStep(given, step) {
      if (step !== network.updates) throw new Error(`step ${step} after ${network.updates} updates`)
      rate = given
    },
    async update() {
      network.weight -= rate * gradient
      network.updates += 1
      gradient = 0
    },
    async discard() {
      gradient = 0
    },
  }
  let remembered = 0
  let start = { weight: network.weight, statistic: network.statistic, updates: network.updates, progress: nothingDone }
  const all: FitOptions = {
    phase: 'head',
    // Only these parts of them are used by the loop.
    runner: runner as Runner,
    updater: updater as Updater,
    traces: {
      remember: () => {
        remembered = network.statistic
      },
      undo: () => {
        network.statistic = remembered
      },
    },
    classes: 1,
    epochs: 1,
    pictures: values.length,
    batchSize: 1,
    accumulate: 1,
    rate: 0.5,
    schedule: { kind: 'constant' },
    warmupEpochs: 0,
    smoothing: 0,
    patience: 0,
    onNan: 'stop',
    async *batches(now, from): AsyncGenerator<TrainingBatch> {
      epoch = now
      for (let at = from; at < values.length; at += all.batchSize) {
        const batch = values.slice(at, at + all.batchSize)
        yield {
          labels: new Int32Array(batch.length),
          names: () => batch.map((_, index) => `${at + index}.png`),
          write: () => {
            input = batch
          },
        }
      }
    },
    async validate() {
      signal?.throwIfAborted()
      const value = metric?.(network, epoch) ?? 1 / (1 + Math.abs(network.weight))
      return {
        loss: value,
        accuracy: value,
        topAccuracy: value,
        balancedAccuracy: value,
        macroF1: value,
        count: 1,
      }
    },
    isFinite: async () => Number.isFinite(network.weight),
    keeper: {
      due: () => false,
      async save(progress) {
        network.saves.push({ weight: network.weight, progress })
        if (progress.running === undefined)
          start = { weight: network.weight, statistic: network.statistic, updates: network.updates, progress }
      },
      async keepBest(record) {
        network.bests.push(record)
      },
      async rewind() {
        network.weight = start.weight
        network.statistic = start.statistic
        network.updates = start.updates
        gradient = 0
        return start.progress
      },
    },
    budget: timeBudget(undefined, '', signal),
    listener: (event) => network.events.push(event),
    ...options,
  }
  const outcome = await fit(all).then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error }),
  )
  return { ...outcome, network }
}

export function notesOf({ events }: OneWeight): readonly string[] {
  return events.flatMap((event) => (event.type === 'note' ? [event.message] : []))
}
