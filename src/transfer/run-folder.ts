// The folder of a run: what it was asked, what it saw, what came out.
import * as path from 'node:path'
import { parse, stringify } from 'yaml'
import type { BadImage } from '../data/loader.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { listFolder, pathFacts, removeFolder } from '../files/folder.ts'
import { readTextLimited } from '../files/read-file.ts'
import { readJson, writeJson } from '../files/strict-json.ts'
import { withoutTemporaryNames } from '../files/temporary-names.ts'
import { inertName } from '../inert-text.ts'
import { topCount } from '../train/classification.ts'
import type { EpochRecord } from '../train/events.ts'
import { checkConfig } from './check-config.ts'
import type { DataRecord } from './data-record.ts'
import type { TrainResult } from './options.ts'
import { checkTaken, emptiedFolder, type FolderRules } from './taken-folder.ts'
import type { TrainConfig } from './train-defaults.ts'

const MAX_CONFIG_BYTES = 1 << 20
const MAX_BAD_BYTES = 2 ** 28

/** @throws RegraftError 'usage' when the folder of a new run is not empty and may not be overwritten */
export async function refuseTaken(out: string, overwrite: boolean): Promise<void> {
  await checkTaken(out, rulesOf(out, overwrite))
}

/** Makes the folder of a new run, in the place of a former one; see `refuseTaken`. */
export async function startRun(out: string, overwrite: boolean): Promise<void> {
  // Once more: it may have been taken meanwhile.
  await emptiedFolder(out, rulesOf(out, overwrite))
}

function rulesOf(out: string, overwrite: boolean): FolderRules {
  const instead = `go on with it (--resume ${inertName(out)}), or replace it`
  return { overwrite, whose: "a run's", foreign: () => foreignIn(out), instead }
}

/** What a run writes, as paths in its folder. */
const runFiles = [
  /^(config\.yaml|(manifest|metrics)\.json|(split|events|bad)\.jsonl|history\.csv|curves\.svg)$/,
  /^best(\.new|\.old)?\/((config|regraft)\.json|(model|head|golden|mean-image)\.safetensors)$/,
  /^evaluation(-test)?\/(evaluation\.json|(classes|confusion)\.csv|(confusion|calibration|mistakes)\.svg)$/,
  /^monitor\/(updates\.(csv|svg)|histograms\.jsonl|(activations|gradients)\.svg|filters\.png)$/,
  /^tensorboard\/events\.out\.tfevents\.\d+\.regraft$/,
  /^(tune\.(json|svg)|learning-curve\.(json|svg)|models\.json|trials\/(plan|[\w.-]+)\.json)$/,
  /^checkpoints\/epoch-\d+(-step-\d+)?\/((manifest|state)\.json|(weights|optimiser|best)\.safetensors)$/,
]

/** Files in a run's folder that the run did not write. */
async function foreignIn(out: string, below = ''): Promise<readonly string[]> {
  const foreign: string[] = []
  for (const { name, kind } of await listFolder(path.join(out, below))) {
    const at = below === '' ? name : `${below}/${name}`
    // What a killed process left of something that it was writing counts as that thing.
    const written = withoutTemporaryNames(at)
    if (kind === 'folder') foreign.push(...(await foreignIn(out, at)))
    else if (!runFiles.some((form) => form.test(written))) foreign.push(at)
  }
  return foreign
}

/** A run that failed before it kept anything leaves no folder that would be in the way of the next try. */
export async function leaveNoBeginning(out: string): Promise<void> {
  const names = (await listFolder(out)).map(({ name }) => name)
  const beginning = new Set(['config.yaml', 'manifest.json', 'split.jsonl', 'bad.jsonl', 'events.jsonl'])
  if (names.every((name) => beginning.has(name))) await removeFolder(out)
}

export interface RunManifest {
  readonly version: string
  readonly node: string
  /** Results depend on the digest; `vectorBits` tells how fast they came. */
  readonly kernels: { readonly build: string; readonly digest: string; readonly vectorBits?: number }
  readonly threads: number
  readonly model: { readonly name: string; readonly architecture: string; readonly sha256: string | null }
  /** The fingerprint is the SHA-256 of split.jsonl. */
  readonly data: { readonly root: string; readonly classes: readonly string[]; readonly fingerprint: string }
  /** By which the losses of the classes count, in their order; null: all alike. */
  readonly classWeights: readonly number[] | null
  readonly seed: number
}

export async function describeRun(
  out: string,
  config: TrainConfig,
  manifest: RunManifest,
  data: DataRecord,
): Promise<void> {
  await writeFileAtomic(path.join(out, 'config.yaml'), stringify(config))
  await writeJson(path.join(out, 'manifest.json'), manifest)
  await writeFileAtomic(path.join(out, 'split.jsonl'), data.text)
}

/** The effective configuration of a run, to go on with it. */
export async function readRunConfig(run: string): Promise<TrainConfig> {
  const file = path.join(run, 'config.yaml')
  if ((await pathFacts(file)) === undefined)
    throw new RegraftError('usage', `--resume ${run}: there is no run in this folder (config.yaml is missing).`, {
      file: run,
    })
  const text = await readTextLimited(file, MAX_CONFIG_BYTES)
  let config: unknown
  try {
    config = parse(text, { maxAliasCount: 0 })
  } catch (cause) {
    throw new RegraftError(
      'usage',
      `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      { file, cause },
    )
  }
  return checkConfig(config, file)
}

/** @throws RegraftError 'data' naming the file when it is not as `describeRun` wrote it */
export async function readRunManifest(run: string): Promise<RunManifest> {
  const file = path.join(run, 'manifest.json')
  // Compared field by field; those that are compared are looked at here.
  const manifest = (await readJson(file, { code: 'data' })) as unknown as Partial<RunManifest> | null
  const { kernels, model, data } = manifest ?? {}
  const classes: unknown = data?.classes
  const whole =
    typeof kernels?.digest === 'string' &&
    typeof data?.fingerprint === 'string' &&
    typeof model?.name === 'string' &&
    Array.isArray(classes) &&
    classes.every((name) => typeof name === 'string')
  if (!whole) {
    throw new RegraftError('data', `${file} does not say what the run was made of; it cannot be gone on with.`, {
      file,
    })
  }
  return manifest as RunManifest
}

const number = (value: number, digits = 9): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : 'nan'

/** `history.csv`. Apart from the seconds it does not depend on threads or timing. */
export function writeHistory(out: string, history: readonly EpochRecord[]): Promise<void> {
  const rows = history.map((r) =>
    [
      r.epoch,
      number(r.learningRate),
      number(r.trainLoss),
      number(r.trainAccuracy),
      number(r.validationLoss),
      number(r.validationAccuracy),
      r.seconds.toFixed(2),
      number(r.validationTopAccuracy),
      number(r.validationBalancedAccuracy),
      number(r.validationMacroF1),
      number(r.trainAccuracy - r.validationAccuracy),
    ].join(','),
  )
  const further = 'val_top_k,val_balanced_accuracy,val_macro_f1,gap'
  return writeFileAtomic(
    path.join(out, 'history.csv'),
    [`epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds,${further}`, ...rows, ''].join('\n'),
  )
}

/** `bad.jsonl`: all that was left out, and why. */
export function writeBad(out: string, bad: readonly Pick<BadImage, 'path' | 'reason'>[]): Promise<void> {
  return writeFileAtomic(
    path.join(out, 'bad.jsonl'),
    bad.map(({ path: file, reason }) => `${JSON.stringify({ path: file, reason })}\n`).join(''),
  )
}

/** Whether `writeBad` has named a picture in a run; undefined where it has written nothing. @throws RegraftError of the disk */
export async function readBad(run: string): Promise<((file: string) => boolean) | undefined> {
  const file = path.join(run, 'bad.jsonl')
  if ((await pathFacts(file)) === undefined) return undefined
  const text = await readTextLimited(file, MAX_BAD_BYTES, { code: 'data' })
  // As they stand there: names that are not UTF-8 cannot be read back as JSON.
  const named = new Set(text.split('\n').map((line) => line.split('","reason":"', 1)[0]))
  return (name) => named.has(JSON.stringify({ path: name }).slice(0, -2))
}

/** `metrics.json`, the form that scripts rely on. */
export function metricsDocument(result: TrainResult): unknown {
  // Of numbers there is no share that is right.
  const share = (value: number) => (result.numbers ? null : value)
  const errors = result.numbers && {
    numbers: { val: result.numbers.val, ...(result.numbers.test ? { test: result.numbers.test } : {}) },
  }
  return {
    best: {
      epoch: result.best.epoch,
      val_accuracy: share(result.best.valAccuracy),
      val_loss: result.best.valLoss,
      val_top_k: result.best.valTopAccuracy,
      val_balanced_accuracy: result.best.valBalancedAccuracy,
      val_macro_f1: result.best.valMacroF1,
    },
    final: {
      val_accuracy: share(result.final.valAccuracy),
      val_loss: result.final.valLoss,
      train_accuracy: share(result.final.trainAccuracy),
    },
    ...errors,
    ...(result.test ? { test: { ...result.test, accuracy: share(result.test.accuracy) } } : {}),
    ...(result.gap ? { gap: result.gap } : {}),
    classes: result.classes,
    top_k: topCount(result.classes.length),
    images: result.images,
    seconds: result.seconds,
    ...(result.stopped === undefined ? {} : { stopped: result.stopped }),
  }
}
