// Which network gives the best features for some pictures: the same head on each, and what each costs.
import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { createFolder, pathFacts } from '../../files/folder.ts'
import { isJsonObject, type JsonValue, readJson, writeJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import { eventLog } from '../event-log.ts'
import type { TrainOptions } from '../options.ts'
import { refuseTaken, startRun } from '../run-folder.ts'
import { featureWork } from './feature-work.ts'
import { partsOf, tryOut } from './trials.ts'

export interface CompareOptions extends Omit<TrainOptions, 'mode' | 'resume' | 'model'> {
  readonly models: readonly string[]
  /** Each network is judged on so many folds of the training part; 0: on the validation part alone. */
  readonly folds?: number
  /** Go on with the comparison in `out`. */
  readonly goOn?: boolean
}

/** What a network is worth here. */
export interface ComparedModel {
  readonly model: string
  readonly features: number
  /** Mean over the folds, where there are some. */
  readonly foldAccuracy: number | null
  readonly valAccuracy: number
  readonly valLoss: number | null
  /** Passing all pictures once, decoding included. */
  readonly imagesPerSecond: number
  readonly sha256: string | null
}

export interface Comparison {
  readonly out: string
  /** The best first: by folds, where there are some, else by the validation part. */
  readonly models: readonly ComparedModel[]
}

/**
 * Computes the features of each network once, and trains the same head on them.
 * @throws RegraftError as `train`
 */
export async function compareModels(options: CompareOptions): Promise<Comparison> {
  const { models: names, folds = 5, goOn = false, overwrite = false, out, ...training } = options
  const twice = names.find((name, at) => names.indexOf(name) < at)
  if (twice !== undefined) throw new RegraftError('usage', `--models names ${inertName(twice)} twice.`)
  if (names.length < 2) throw new RegraftError('usage', '--models needs two or more, separated by commas, to compare.')
  if ((await pathFacts(path.join(options.data, 'meta.json'))) !== undefined)
    throw new RegraftError('usage', `--models needs pictures; ${inertName(options.data)} holds vectors of one model.`)
  if (!goOn) {
    await refuseTaken(out, overwrite)
    await startRun(out, overwrite)
    await createFolder(path.join(out, 'trials'))
  }
  const log = eventLog(options.listener)
  log.open(out)
  const compared: ComparedModel[] = []
  for (const [at, model] of names.entries()) {
    const { work, vectors } = await featureWork({ ...training, out, model, listener: log.listener }, log)
    const file = path.join(out, 'trials', `model-${at + 1}.json`)
    const plan = {
      model,
      sha256: work.manifest.model.sha256,
      data: work.manifest.data.fingerprint,
      kernels: work.manifest.kernels.digest,
      folds,
      config: Object.fromEntries(Object.entries(work.config).filter(([name]) => name !== 'data')),
    }
    const before = goOn && (await pathFacts(file)) !== undefined ? await readJson(file, { code: 'data' }) : undefined
    const known =
      isJsonObject(before) && JSON.stringify(before['plan']) === JSON.stringify(plan) ? before['result'] : undefined
    if (isCompared(known)) {
      compared.push(known)
      continue
    }
    const startedAt = performance.now()
    const both = await vectors()
    const seconds = (performance.now() - startedAt) / 1000
    const byFolds = folds > 0 ? await tryOut(work, partsOf(work, both, folds)) : undefined
    const validated = await tryOut(work, [both])
    const result: ComparedModel = {
      model,
      features: both.train.width,
      foldAccuracy: byFolds?.accuracy ?? null,
      valAccuracy: validated.accuracy,
      valLoss: validated.loss,
      imagesPerSecond: (both.train.labels.length + both.validation.labels.length) / seconds,
      sha256: work.manifest.model.sha256,
    }
    await writeJson(file, { plan, result })
    compared.push(result)
  }
  const judged = ({ foldAccuracy, valAccuracy }: ComparedModel) => foldAccuracy ?? valAccuracy
  const result = { out, models: compared.toSorted((a, b) => judged(b) - judged(a)) }
  await writeJson(path.join(out, 'models.json'), comparisonDocument(result))
  await log.flush()
  return result
}

function isCompared(value: unknown): value is ComparedModel {
  if (!isJsonObject(value as JsonValue)) return false
  const { model, features, foldAccuracy, valAccuracy, valLoss, imagesPerSecond } = value as Partial<
    Record<string, unknown>
  >
  const isNumber = (one: unknown) => typeof one === 'number'
  return (
    typeof model === 'string' &&
    [features, valAccuracy, imagesPerSecond].every(isNumber) &&
    [foldAccuracy, valLoss].every((one) => one === null || isNumber(one))
  )
}

/** `models.json`. */
export function comparisonDocument({ out, models }: Comparison): unknown {
  return {
    out,
    models: models.map(({ model, features, foldAccuracy, valAccuracy, valLoss, imagesPerSecond, sha256 }) => ({
      model,
      features,
      fold_accuracy: foldAccuracy,
      val_accuracy: valAccuracy,
      val_loss: valLoss,
      images_per_second: imagesPerSecond,
      sha256,
    })),
  }
}
