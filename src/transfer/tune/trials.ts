// One setting tried: a head on the same vectors as all others, checked on each fold or on the validation part.

import { foldOf } from '../../data/split.ts'
import { RegraftError } from '../../errors.ts'
import type { WorkEvent } from '../../train/events.ts'
import { timeBudget } from '../../train/time-budget.ts'
import { parseHead } from '../head-options.ts'
import type { Vectors } from '../head-trainer.ts'
import { chosenLoss } from '../loss-options.ts'
import { solverOf } from '../solver.ts'
import { completeConfig } from '../train-defaults.ts'
import { trainOnVectors } from '../train-on-features.ts'
import type { BothVectors } from '../train-vectors.ts'
import type { Outcome, Work } from '../train-work.ts'
import { applicable, type Settings } from './space.ts'

/** What came of a setting. Shares are 0…1. */
export interface TrialScore {
  /** stopped: its cost rose to three times the first; failed: no head came of it. */
  readonly status: 'done' | 'stopped' | 'failed'
  readonly reason: string | null
  /** Mean over the parts that it was checked on; 0 and null where there was none. */
  readonly accuracy: number
  readonly loss: number | null
  readonly trainAccuracy: number
  /** Accuracy on each part. */
  readonly folds: readonly number[]
}

/** Training stops where the cost of a step is so many times that of the first one. */
const MOST_RISE = 3

/** A work whose head has these settings. @throws RegraftError 'usage' for settings that contradict each other */
export function workWith(work: Work, settings: Settings, epochs?: number): Work {
  const { options } = work
  const solver = solverOf({ ...options, ...settings })
  const chosen = applicable(settings, solver)
  const shorter = epochs === undefined || solver !== 'gradient' ? {} : { epochs }
  const config = completeConfig({ ...options, ...chosen, ...shorter, mode: 'features' })
  return {
    ...work,
    config: { ...config, data: work.config.data, model: work.config.model, microBatch: null },
    model: { ...work.model, loss: chosenLoss(config), head: parseHead(config.head, config.activation) },
  }
}

/** Vectors to learn from and to check with, as often as a setting is checked. */
export function partsOf(work: Work, vectors: BothVectors, folds: number): readonly BothVectors[] {
  if (folds === 0) return [vectors]
  const { train } = vectors
  const samples = new Map(work.data.train.map((sample) => [sample.path, sample]))
  // A seed of its own: the validation part was drawn with the run's, so its fold would be empty.
  const foldOfRow = train.paths.map((name) => {
    const sample = samples.get(name)
    return sample ? foldOf(sample, folds, work.config.seed + 1) : 0
  })
  return Array.from({ length: folds }, (_, fold) => ({
    ...vectors,
    train: rowsOf(
      train,
      [...foldOfRow.keys()].filter((row) => foldOfRow[row] !== fold),
    ),
    validation: rowsOf(
      train,
      [...foldOfRow.keys()].filter((row) => foldOfRow[row] === fold),
    ),
  })).filter((part) => part.validation.labels.length > 0 && part.train.labels.length > 0)
}

/** Some rows of vectors. */
export function rowsOf({ values, labels, width, paths }: Vectors, rows: readonly number[]): Vectors {
  const chosen = new Float32Array(rows.length * width)
  for (const [at, row] of rows.entries()) chosen.set(values.subarray(row * width, (row + 1) * width), at * width)
  return {
    values: chosen,
    width,
    labels: Int32Array.from(rows, (row) => labels[row] ?? 0),
    paths: rows.map((row) => paths[row] ?? ''),
  }
}

/**
 * Tries a setting.
 * @throws RegraftError of the signal
 */
export async function tryOut(work: Work, parts: readonly BothVectors[]): Promise<TrialScore> {
  const accuracies: number[] = []
  let loss = 0
  let trainAccuracy = 0
  for (const { test: _, ...part } of parts) {
    const outcome = await outcomeOrReason(work, part)
    if ('status' in outcome) return { ...outcome, accuracy: 0, loss: null, trainAccuracy: 0, folds: accuracies }
    const best = outcome.history.find(({ epoch }) => epoch === outcome.bestEpoch)
    accuracies.push(best?.validationAccuracy ?? 0)
    loss += (best?.validationLoss ?? Number.POSITIVE_INFINITY) / parts.length
    trainAccuracy += (best?.trainAccuracy ?? 0) / parts.length
  }
  const accuracy = accuracies.reduce((sum, each) => sum + each, 0) / parts.length
  return {
    status: 'done',
    reason: null,
    accuracy,
    loss: Number.isFinite(loss) ? loss : null,
    trainAccuracy,
    folds: accuracies,
  }
}

async function outcomeOrReason(
  work: Work,
  vectors: BothVectors,
): Promise<Outcome | { readonly status: 'stopped' | 'failed'; readonly reason: string }> {
  const { signal } = work.options
  const stopping = new AbortController()
  let first: number | undefined
  const listener = (event: WorkEvent) => {
    if (event.type !== 'step') return
    first ??= event.loss
    if (event.loss <= MOST_RISE * first) return
    const rise = `its cost rose from ${first.toPrecision(3)} to ${event.loss.toPrecision(3)} in epoch ${event.epoch}`
    stopping.abort(new RegraftError('time', rise))
  }
  const both = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal
  const budget = timeBudget(undefined, '', both)
  const options = { ...work.options, listener, signal: both }
  try {
    return await trainOnVectors({ ...work, options, budget, passing: true }, vectors)
  } catch (error) {
    if (signal?.aborted) throw error
    if (stopping.signal.aborted) return { status: 'stopped', reason: String(stopping.signal.reason.message) }
    // Of a setting: it diverged, or there are fewer components than it wants.
    if (error instanceof RegraftError && error.code === 'usage') return { status: 'failed', reason: error.message }
    throw error
  } finally {
    budget.close()
  }
}
