// A training on a handful of pictures, on weights of its own: what it shows of the one to come. Nothing of it is kept.
import type { Engine } from '../../kernels/engine.ts'
import type { Updater } from '../../optim/updater.ts'
import { createUpdater } from '../../optim/updater.ts'
import type { ParameterStore } from '../../runtime/parameters.ts'
import type { Runner } from '../../runtime/runner.ts'
import { gatherGradient, type TrainingBatch } from '../../train/step.ts'

/** What a trial found out. Losses are means with hard labels. */
export interface Trial {
  /** With the weights that training begins with, but for a head that is solved first. */
  readonly firstLoss: number
  /** What weight decay, as a penalty, and penalties add to it; 0 without any. */
  readonly penalty: number
  readonly overfitting: Overfitting
  /** Seconds that are to come, by what takes them. */
  readonly seconds: { readonly features: number; readonly head: number; readonly epochs: number; readonly end: number }
  /** Bytes of memory that the trial did not take and the training will. */
  readonly growthBytes: number
}

/** How well a few pictures can be learnt by heart. */
export interface Overfitting {
  readonly pictures: number
  readonly steps: number
  readonly from: number
  readonly to: number
}

/** Pictures and seconds of a trial. */
export interface TrialSize {
  readonly pictures: number
  readonly validation: number
}

const MOST_OVERFIT_PICTURES = 16
const MOST_OVERFIT_MS = 2500
/** Of the first loss; below, a few pictures count as learnt. */
const LEARNT_SHARE = 0.02

/** Seconds that work takes, and what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly seconds: number; readonly result: T }> {
  const startedAt = performance.now()
  const result = await work()
  return { seconds: (performance.now() - startedAt) / 1000, result }
}

interface TrialStep {
  readonly engine: Engine
  readonly runner: Runner
  readonly store: ParameterStore
  readonly classes: number
  readonly signal: AbortSignal | undefined
}

/** The loss of a batch with hard labels. Gradients are cleared again, weights stay. */
export async function lossOf(batch: TrainingBatch, updater: Updater, step: TrialStep): Promise<number> {
  const { loss } = await gatherGradient(only(batch), batch.labels.length, { ...step, updater, smoothing: 0 })
  await updater.discard()
  return loss
}

/** Trains on the first pictures of a batch until they are learnt or the time is over. @param rate  of adam */
export async function overfit(
  batch: TrainingBatch,
  step: TrialStep,
  rate: number,
  mostSteps: number,
): Promise<Overfitting> {
  const { engine, runner, store } = step
  const few: TrainingBatch = { ...batch, labels: batch.labels.subarray(0, MOST_OVERFIT_PICTURES) }
  const pictures = few.labels.length
  const updater = createUpdater(engine, runner, store, { optimiser: 'adam', weightDecay: 0, clipNorm: 0 })
  try {
    const startedAt = performance.now()
    let from = Number.NaN
    let to = Number.NaN
    let steps = 0
    while (true) {
      const { loss } = await gatherGradient(only(few), pictures, { ...step, updater, smoothing: 0 })
      if (steps === 0) from = loss
      to = loss
      const over = steps >= mostSteps || performance.now() - startedAt > MOST_OVERFIT_MS
      if (over || !Number.isFinite(loss) || loss < LEARNT_SHARE * from) {
        await updater.discard()
        return { pictures, steps, from, to }
      }
      updater.setStep(rate, steps)
      await updater.update()
      steps++
    }
  } finally {
    updater.close()
  }
}

async function* only(batch: TrainingBatch): AsyncGenerator<TrainingBatch> {
  yield batch
}

/** What weight decay costs as a penalty, decay/2·|W|² over the weights that train. */
export function decayPenalty(
  engine: Engine,
  store: ParameterStore,
  trainable: ReadonlySet<string>,
  weightDecay: number,
): number {
  let squares = 0
  for (const { name, spec, address, length } of store.parameters) {
    if (!trainable.has(name) || spec.kind !== 'weight') continue
    for (const value of engine.floats(address, length)) squares += value * value
  }
  return (weightDecay / 2) * squares
}
