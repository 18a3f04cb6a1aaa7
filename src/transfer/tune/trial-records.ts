// What is written of a trial, and read again when a search goes on.
import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { listFolder } from '../../files/folder.ts'
import { isJsonObject, type JsonValue, readJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import type { Trial, TuneResult } from './results.ts'

/** Name of a trial's file; with halving a setting is tried several times, with more and more epochs. */
export function trialName({ number, stage }: Pick<Trial, 'number' | 'stage'>, epochs: number | undefined): string {
  return `${String(number).padStart(4, '0')}${stage === 'halving' ? `-${epochs ?? 'all'}` : ''}`
}

/** The trials in a folder, by their names. @throws RegraftError 'data' for a file that is none */
export async function readTrials(folder: string): Promise<ReadonlyMap<string, Trial>> {
  const trials = new Map<string, Trial>()
  for (const { name } of await listFolder(folder)) {
    const known = /^(\d{4,}(?:-\w+)?)\.json$/.exec(name)?.[1]
    if (known === undefined) continue
    const file = path.join(folder, name)
    const record = await readJson(file, { code: 'data' })
    if (!isTrial(record)) {
      throw new RegraftError('data', `${inertName(file)} is no trial. Remove it: it is made again.`, { file })
    }
    trials.set(known, record)
  }
  return trials
}

function isTrial(value: unknown): value is Trial {
  if (!isJsonObject(value as JsonValue)) return false
  const { number, stage, settings, full, status, reason, accuracy, loss, trainAccuracy, folds } = value as Partial<
    Record<string, unknown>
  >
  return (
    Number.isSafeInteger(number) &&
    ['coarse', 'fine', 'random', 'halving'].some((word) => word === stage) &&
    isJsonObject(settings as JsonValue) &&
    typeof full === 'boolean' &&
    ['done', 'stopped', 'failed'].some((word) => word === status) &&
    (reason === null || typeof reason === 'string') &&
    typeof accuracy === 'number' &&
    (loss === null || typeof loss === 'number') &&
    typeof trainAccuracy === 'number' &&
    Array.isArray(folds)
  )
}

/** `tune.json`. */
export function tuneDocument({ out, trials, chosen, usual, best, test, images, classes }: TuneResult): unknown {
  const row = ({ number, stage, settings, full, status, reason, accuracy, loss, trainAccuracy, folds }: Trial) => ({
    number,
    stage,
    settings,
    all_epochs: full,
    status,
    reason,
    accuracy,
    loss,
    train_accuracy: trainAccuracy,
    folds,
  })
  return {
    out,
    chosen: row(chosen),
    default: { accuracy: usual.accuracy, loss: usual.loss },
    val_accuracy: best.valAccuracy,
    val_loss: best.valLoss,
    ...(test ? { test } : {}),
    images,
    classes,
    trials: trials.map(row),
  }
}
