// The loop: batches in, updates out, events for whoever listens.
import { RegraftError, throwIfAborted } from '../errors.ts'
import { rateMultiplier, type Schedule } from '../optim/schedule.ts'
import type { Updater } from '../optim/updater.ts'
import type { Runner } from '../runtime/runner.ts'
import { countCorrect, type Metrics, softTargets } from './classification.ts'
import type { EpochRecord, Listener, Phase } from './events.ts'

/** Pictures or vectors of one step. `write` puts them into the runner's input. */
export interface TrainingBatch {
  readonly labels: Int32Array
  /** Files in the batch, for messages. */
  readonly names: () => readonly string[]
  write(): void
}

/** Where a training stands between two epochs; together with weights and optimiser it is enough to go on exactly. */
export interface Progress {
  readonly epochsDone: number
  readonly stepsDone: number
  readonly history: readonly EpochRecord[]
  readonly bestEpoch: number
}

export interface FitOptions {
  readonly phase: Phase
  readonly runner: Runner
  readonly updater: Updater
  readonly classes: number
  readonly epochs: number
  readonly stepsPerEpoch: number
  readonly rate: number
  readonly schedule: Schedule
  readonly warmupEpochs: number
  readonly smoothing: number
  /** Epochs without a better validation before stopping; 0 never stops. */
  readonly patience: number
  readonly batches: (epoch: number) => AsyncIterable<TrainingBatch>
  readonly validate: () => Promise<Metrics>
  readonly from?: Progress | undefined
  /** A better epoch than all before; keeps the weights as they are now. */
  readonly onBest: (record: EpochRecord) => Promise<void>
  /** After each epoch. */
  readonly onEpoch: (progress: Progress) => Promise<void>
  /** Hears how long the workers computed. */
  readonly onComputed?: (milliseconds: number) => void
  readonly listener?: Listener | undefined
  readonly signal?: AbortSignal | undefined
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

export async function fit(options: FitOptions): Promise<FitResult> {
  const { runner, updater, epochs, stepsPerEpoch, listener, signal } = options
  const history: EpochRecord[] = [...(options.from?.history ?? [])]
  let step = options.from?.stepsDone ?? 0
  let best = history.find((record) => record.epoch === options.from?.bestEpoch)
  let stopped: string | undefined
  listener?.({ type: 'phase', phase: options.phase, total: epochs, unit: 'epochs' })

  for (let epoch = (options.from?.epochsDone ?? 0) + 1; epoch <= epochs; epoch++) {
    // Asked before an epoch, so that a run that goes on after its last one stops too.
    if (options.patience > 0 && epoch - 1 - (best?.epoch ?? 0) >= options.patience) {
      stopped = `no better validation for ${options.patience} epochs`
      break
    }
    const startedAt = performance.now()
    let lossSum = 0
    let correct = 0
    let seen = 0
    let rate = 0
    let stepsInEpoch = 0
    for await (const batch of options.batches(epoch)) {
      throwIfAborted(signal)
      const count = batch.labels.length
      rate =
        options.rate *
        rateMultiplier(options.schedule, step, epochs * stepsPerEpoch, options.warmupEpochs * stepsPerEpoch)
      batch.write()
      runner.writeTargets(softTargets(batch.labels, options.classes, options.smoothing))
      updater.setStep(rate, step)
      const computingSince = performance.now()
      await runner.run(count, { signal, more: [updater.program] })
      options.onComputed?.(performance.now() - computingSince)
      const batchLoss = runner.losses(count).reduce((sum, loss) => sum + loss, 0)
      if (!Number.isFinite(batchLoss)) throw diverged(epoch, step, batch.names())
      lossSum += batchLoss * count
      correct += countCorrect(runner.read(runner.graph.output, count), batch.labels, options.classes)
      seen += count
      step++
      stepsInEpoch++
      listener?.({
        type: 'progress',
        phase: options.phase,
        done: epoch - 1 + Math.min(1, stepsInEpoch / stepsPerEpoch),
        total: epochs,
        detail: `loss ${(lossSum / seen).toFixed(3)}`,
      })
    }
    throwIfAborted(signal)
    const validation = await options.validate()
    const record: EpochRecord = {
      epoch,
      learningRate: rate,
      trainLoss: lossSum / seen,
      trainAccuracy: correct / seen,
      validationLoss: validation.loss,
      validationAccuracy: validation.accuracy,
      seconds: (performance.now() - startedAt) / 1000,
    }
    history.push(record)
    const better = isBetter(record, best)
    if (better) {
      best = record
      await options.onBest(record)
    }
    listener?.({ type: 'epoch', epochs, best: better, ...record })
    await options.onEpoch({ epochsDone: epoch, stepsDone: step, history: [...history], bestEpoch: best?.epoch ?? 0 })
  }
  listener?.({ type: 'phaseEnd', phase: options.phase })
  return {
    progress: { epochsDone: history.length, stepsDone: step, history, bestEpoch: best?.epoch ?? 0 },
    ...(stopped === undefined ? {} : { stopped }),
  }
}

function diverged(epoch: number, step: number, names: readonly string[]): RegraftError {
  const shown = names.slice(0, 4).join(', ') + (names.length > 4 ? ` and ${names.length - 4} more` : '')
  return new RegraftError(
    'usage',
    `The loss is no longer a finite number (epoch ${epoch}, step ${step + 1}; the batch of ${shown}).\n` +
      'The training diverged; the best epoch so far is kept. Lower --lr (a tenth is a good try), or set --clip-grad 1.',
  )
}
