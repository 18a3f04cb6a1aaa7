// The loop: batches in, updates out, events for whoever listens. Between two steps all that matters is in `Progress`, the weights and
// the optimiser's state, so it can stop and go on at any of them.
import { RegraftError, throwIfAborted } from '../errors.ts'
import { endOf, type Moment, rateAt, type Schedule } from '../optim/schedule.ts'
import type { Updater } from '../optim/updater.ts'
import type { WeightAverage } from '../optim/weight-average.ts'
import type { Runner } from '../runtime/runner.ts'
import { type Metrics, validationRecord } from './classification.ts'
import { Diverged, divergenceError, findingOf, MOST_LOWERED, MOST_SKIPPED, type OnNan } from './divergence.ts'
import type { EpochRecord, Listener, Phase } from './events.ts'
import type { ForwardTraces } from './forward-traces.ts'
import type { StepObserver } from './observer.ts'
import { epochBegun, nothingDone, type Progress, type RunningEpoch } from './progress.ts'
import { gatherGradient, type TrainingBatch } from './step.ts'
import type { TimeBudget } from './time-budget.ts'

export interface FitOptions {
  readonly phase: Phase
  readonly runner: Runner
  readonly updater: Updater
  /** Validated and kept in the place of the weights, where there is one. */
  readonly average?: WeightAverage | undefined
  readonly traces: ForwardTraces
  readonly classes: number
  readonly epochs: number
  /** Pictures of an epoch. */
  readonly pictures: number
  readonly batchSize: number
  /** Batches of a step. */
  readonly accumulate: number
  readonly rate: number
  readonly schedule: Schedule
  readonly warmupEpochs: number
  readonly smoothing: number
  /** By which the losses of the classes count; all alike when absent. */
  readonly classWeights?: readonly number[] | undefined
  /** Epochs without a better validation before stopping; 0 never stops. */
  readonly patience: number
  readonly onNan: OnNan
  /**
   * The batches of an epoch in its order, of `batchSize` but for the last, each whole or in parts.
   * @param from  pictures that are passed already
   */
  readonly batches: (epoch: number, from: number, signal: AbortSignal | undefined) => AsyncIterable<TrainingBatch>
  readonly validate: (signal: AbortSignal | undefined) => Promise<Metrics>
  /** Whether all that trains is finite. */
  readonly isFinite: () => Promise<boolean>
  readonly from?: Progress | undefined
  readonly keeper?: Keeper | undefined
  readonly budget: TimeBudget
  /** Hears how long the workers computed. */
  readonly onComputed?: (milliseconds: number) => void
  readonly listener?: Listener | undefined
  readonly observer?: StepObserver | undefined
}

/** Who keeps what must not be lost. Weights and optimiser are as the progress says when it is asked. */
export interface Keeper {
  /** Whether to save in the middle of an epoch, after this step. */
  due(progress: Progress): boolean
  save(progress: Progress): Promise<void>
  /** A better epoch than all before; keeps the weights as they are now. */
  keepBest(record: EpochRecord): Promise<void>
  /** Puts weights and optimiser back to what they were when this epoch began. */
  rewind(epochsDone: number): Promise<Progress>
}

export interface FitResult {
  readonly progress: Progress
  readonly stopped?: string
}

/** Higher accuracy wins; at equal accuracy the lower loss. What is not a number never wins. */
export function isBetter(candidate: EpochRecord, best: EpochRecord | undefined): boolean {
  if (!Number.isFinite(candidate.validationAccuracy) || !Number.isFinite(candidate.validationLoss)) return false
  if (best === undefined) return true
  if (candidate.validationAccuracy !== best.validationAccuracy)
    return candidate.validationAccuracy > best.validationAccuracy
  return candidate.validationLoss < best.validationLoss
}

/**
 * Trains to the last epoch, or until patience is at an end.
 * @throws RegraftError of the signal or the time budget, after saving; 'usage' when the training diverged
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { epochs, patience, keeper, budget, listener } = options
  let progress = options.from ?? nothingDone
  let stopped: string | undefined
  listener?.({ type: 'phase', phase: options.phase, total: epochs, unit: 'epochs' })
  try {
    while (progress.epochsDone < epochs) {
      // Asked before an epoch, so that a run that goes on after its last one stops too.
      const { epochsDone, bestEpoch, running } = progress
      if (patience > 0 && running === undefined && epochsDone - bestEpoch >= patience) {
        stopped = `no better validation for ${patience} epochs`
        break
      }
      if (running === undefined) stopped = endOf(options.schedule, momentOf(options, progress))
      if (stopped !== undefined) break
      try {
        await trainEpoch(options, progress, async (next) => {
          progress = next
        })
        progress = await closeEpoch(options, progress)
        budget.progressed()
      } catch (error) {
        if (!(error instanceof Diverged)) throw error
        progress = await recovered(options, progress, error.message)
      }
    }
  } catch (error) {
    if (isStop(error, budget.signal())) await keeper?.save(progress)
    throw error
  }
  listener?.({ type: 'phaseEnd', phase: options.phase })
  return { progress, ...(stopped === undefined ? {} : { stopped }) }
}

/** Whether an error is what a signal brought about. Libraries below may have wrapped it. */
function isStop(error: unknown, signal: AbortSignal | undefined): boolean {
  if (!signal?.aborted) return false
  if (error === signal.reason) return true
  if (error instanceof RegraftError) return error.code === 'interrupted' || error.code === 'time'
  return error instanceof Error && error.name === 'AbortError'
}

function stepsPerEpoch({ pictures, batchSize, accumulate }: FitOptions): number {
  return Math.ceil(pictures / (batchSize * accumulate))
}

function momentOf(options: FitOptions, { stepsDone, history }: Progress): Moment {
  const { epochs, warmupEpochs } = options
  const validationLosses = history.map(({ validationLoss }) => validationLoss)
  return { step: stepsDone, stepsPerEpoch: stepsPerEpoch(options), epochs, warmupEpochs, validationLosses }
}

/** Rate and momentum of the coming step. */
function rateOf(options: FitOptions, progress: Progress): { rate: number; momentum: number | undefined } {
  const { multiplier, momentum } = rateAt(options.schedule, momentOf(options, progress))
  return { rate: (options.rate / 10 ** progress.timesLowered) * multiplier, momentum }
}

/** The steps of an epoch that are still to be made. `advance` hears of each, when it is made. */
async function trainEpoch(
  options: FitOptions,
  begun: Progress,
  advance: (progress: Progress) => Promise<void>,
): Promise<void> {
  const { updater, average, traces, keeper, budget, listener, phase } = options
  const epoch = begun.epochsDone + 1
  let progress = begun
  let running = begun.running ?? epochBegun
  const startedAt = performance.now() - running.seconds * 1000
  const batches = options.batches(epoch, running.pictures, budget.signal())[Symbol.asyncIterator]()
  try {
    while (running.pictures < options.pictures) {
      throwIfAborted(budget.signal())
      const pictures = Math.min(options.batchSize * options.accumulate, options.pictures - running.pictures)
      const { rate, momentum } = rateOf(options, progress)
      traces.remember()
      let gathered: Awaited<ReturnType<typeof gatherGradient>>
      try {
        gathered = await gatherGradient(batches, pictures, { ...options, signal: budget.signal() })
      } catch (error) {
        traces.undo()
        throw error
      }
      options.onComputed?.(gathered.computedMs)
      const place = { epoch, step: running.steps + 1, files: gathered.files() }
      const finding = findingOf(gathered, place)
      if (finding === undefined) {
        const made = progress.stepsDone - progress.stepsSkipped
        updater.setStep(rate, made, momentum, progress.epochsDone)
        average?.setStep(made)
        const step = running.steps + 1
        const watcher = options.observer?.wants(epoch, step) ? options.observer : undefined
        await watcher?.before()
        await updater.update(average ? [average.program] : [])
        await watcher?.after({ epoch, step, stepsDone: progress.stepsDone + 1 })
      } else {
        traces.undo()
        await updater.discard()
        if (options.onNan !== 'skip' || progress.skippedInARow + 1 > MOST_SKIPPED) throw new Diverged(finding)
        listener?.({ type: 'note', message: `${finding}; the step is skipped.` })
      }
      const seconds = (performance.now() - startedAt) / 1000
      running = stepDone(running, { ...gathered, pictures, rate, seconds, skipped: finding !== undefined })
      progress = afterStep(progress, running, finding !== undefined)
      await advance(progress)
      budget.progressed()
      const { loss, gradientNorm } = gathered
      listener?.({ type: 'step', phase, epoch, step: running.steps, loss, gradientNorm, learningRate: rate })
      listener?.({
        type: 'progress',
        phase,
        done: progress.epochsDone + running.pictures / options.pictures,
        total: options.epochs,
        detail: `loss ${(running.lossSum / running.seen).toFixed(3)}`,
      })
      if (keeper?.due(progress)) {
        await checkFinite(options, progress)
        await keeper.save(progress)
      }
    }
  } finally {
    await batches.return?.()
  }
}

function stepDone(
  before: RunningEpoch,
  step: { pictures: number; loss: number; correct: number; rate: number; seconds: number; skipped: boolean },
): RunningEpoch {
  const { pictures, loss, correct, rate, seconds, skipped } = step
  const passed = { steps: before.steps + 1, pictures: before.pictures + pictures, rate, seconds }
  if (skipped) return { ...before, ...passed }
  return {
    ...passed,
    seen: before.seen + pictures,
    lossSum: before.lossSum + loss * pictures,
    correct: before.correct + correct,
  }
}

function afterStep(before: Progress, running: RunningEpoch, skipped: boolean): Progress {
  return {
    ...before,
    stepsDone: before.stepsDone + 1,
    stepsSkipped: before.stepsSkipped + (skipped ? 1 : 0),
    skippedInARow: skipped ? before.skippedInARow + 1 : 0,
    running,
  }
}

/** A step of finite numbers can still end in weights that are none: the rate may be anything. */
async function checkFinite(options: FitOptions, { epochsDone, running }: Progress): Promise<void> {
  if (await options.isFinite()) return
  throw new Diverged(`Weights are no longer finite in epoch ${epochsDone + 1}, after step ${running?.steps ?? 0}`)
}

/** Validates, keeps what is better, and saves. */
async function closeEpoch(options: FitOptions, progress: Progress): Promise<Progress> {
  const { keeper, budget, listener, epochs } = options
  const { running: { seen, lossSum, correct, rate, seconds } = epochBegun, ...passed } = progress
  await checkFinite(options, progress)
  const validatingSince = performance.now()
  throwIfAborted(budget.signal())
  const { record, best } = await withAverage(options, async () => {
    const validation = await options.validate(budget.signal())
    const record: EpochRecord = {
      epoch: progress.epochsDone + 1,
      learningRate: rate,
      trainLoss: lossSum / seen,
      trainAccuracy: correct / seen,
      ...validationRecord(validation),
      seconds: seconds + (performance.now() - validatingSince) / 1000,
    }
    const best = isBetter(
      record,
      progress.history.find(({ epoch }) => epoch === progress.bestEpoch),
    )
    if (best) await keeper?.keepBest(record)
    return { record, best }
  })
  const closed: Progress = {
    ...passed,
    epochsDone: record.epoch,
    history: [...progress.history, record],
    bestEpoch: best ? record.epoch : progress.bestEpoch,
  }
  listener?.({ type: 'epoch', epochs, best, ...record })
  await keeper?.save(closed)
  return closed
}

/** Does something with the averages in the place of the weights, where there are averages. */
async function withAverage<T>({ average }: FitOptions, work: () => Promise<T>): Promise<T> {
  average?.swap()
  try {
    return await work()
  } finally {
    average?.swap()
  }
}

/** After a divergence: back to the beginning of the epoch with a lower rate, where that is wanted and not yet in vain. */
async function recovered(options: FitOptions, progress: Progress, finding: string): Promise<Progress> {
  const { onNan, keeper, listener } = options
  if (onNan !== 'lower-lr' || keeper === undefined || progress.timesLowered >= MOST_LOWERED) {
    const tried =
      onNan === 'lower-lr'
        ? `, also with a rate lowered ${progress.timesLowered} times`
        : onNan === 'skip'
          ? `, and skipping steps does not help`
          : ''
    throw divergenceError(finding, onNan, tried)
  }
  const timesLowered = progress.timesLowered + 1
  const rate = Number((options.rate / 10 ** timesLowered).toPrecision(6))
  listener?.({
    type: 'note',
    message: `${finding}; the training goes back to the beginning of the epoch, with a learning rate of ${rate}.`,
  })
  return { ...(await keeper.rewind(progress.epochsDone)), timesLowered }
}
