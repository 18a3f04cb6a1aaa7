// The folder of a run: what it was asked, what it saw, what came out.
import * as path from 'node:path'
import { parse, stringify } from 'yaml'
import type { BadImage } from '../data/loader.ts'
import type { DataSplit, Sample } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { sha256 } from '../files/digest.ts'
import { createFolder, listFolder, pathFacts, removeFolder } from '../files/folder.ts'
import { readTextLimited } from '../files/read-file.ts'
import { readJson, writeJson } from '../files/strict-json.ts'
import type { EpochRecord } from '../train/events.ts'
import type { TrainResult } from './options.ts'
import type { TrainConfig } from './train-defaults.ts'

const MAX_CONFIG_BYTES = 1 << 20

/**
 * Makes the folder of a new run.
 * @throws RegraftError 'usage' when it is not empty and may not be overwritten
 */
export async function startRun(out: string, overwrite: boolean): Promise<void> {
  const facts = await pathFacts(out)
  if (facts !== undefined && facts.kind !== 'folder')
    throw new RegraftError('usage', `--out ${out} is a file, not a folder.`, { file: out })
  if (facts !== undefined && (await listFolder(out)).length > 0) {
    if (!overwrite)
      throw new RegraftError(
        'usage',
        `--out ${out} is not empty. Choose another folder, go on with it (--resume ${out}), or replace it (--overwrite).`,
        { file: out },
      )
    // Only a run is replaced; anything else in the way is somebody's.
    const known = new Set([
      'config.yaml',
      'manifest.json',
      'split.jsonl',
      'metrics.json',
      'history.csv',
      'events.jsonl',
      'bad.jsonl',
      'checkpoints',
      'best',
      'best.new',
      'best.old',
    ])
    const foreign = (await listFolder(out)).map(({ name }) => name).filter((name) => !known.has(name))
    if (foreign.length > 0)
      throw new RegraftError(
        'usage',
        `--out ${out} holds files that are not a run's (${foreign.slice(0, 3).join(', ')}); it is not overwritten. Choose another folder.`,
        { file: out },
      )
    await removeFolder(out)
  }
  await createFolder(out)
}

/** SHA-256 over paths and labels: which pictures a run was made of. */
export function dataFingerprint(data: DataSplit): string {
  const lines = (part: string, samples: readonly Sample[]) =>
    samples.map(({ path: file, label }) => `${part}\t${data.classes[label] ?? ''}\t${file}\n`)
  return sha256([...lines('train', data.train), ...lines('val', data.validation), ...lines('test', data.test)].join(''))
}

export interface RunManifest {
  readonly version: string
  readonly node: string
  readonly kernels: { readonly build: string; readonly digest: string }
  readonly threads: number
  readonly model: { readonly name: string; readonly architecture: string; readonly sha256: string | null }
  readonly data: { readonly root: string; readonly classes: readonly string[]; readonly fingerprint: string }
  readonly seed: number
}

export async function describeRun(
  out: string,
  config: TrainConfig,
  manifest: RunManifest,
  data: DataSplit,
): Promise<void> {
  await writeFileAtomic(path.join(out, 'config.yaml'), stringify(config))
  await writeJson(path.join(out, 'manifest.json'), manifest)
  const rows = (split: string, samples: readonly Sample[]) =>
    samples.map((sample) => `${JSON.stringify({ path: sample.path, label: data.classes[sample.label], split })}\n`)
  await writeFileAtomic(
    path.join(out, 'split.jsonl'),
    [...rows('train', data.train), ...rows('val', data.validation), ...rows('test', data.test)].join(''),
  )
}

/** The effective configuration of a run, to go on with it. */
export async function readRunConfig(run: string): Promise<TrainConfig> {
  const file = path.join(run, 'config.yaml')
  if ((await pathFacts(file)) === undefined)
    throw new RegraftError('usage', `--resume ${run}: there is no run in this folder (config.yaml is missing).`, {
      file: run,
    })
  const text = await readTextLimited(file, MAX_CONFIG_BYTES)
  try {
    // Written by `describeRun`; the fields are used only after the run's own checks.
    return parse(text, { maxAliasCount: 0 }) as TrainConfig
  } catch (cause) {
    throw new RegraftError(
      'usage',
      `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      { file, cause },
    )
  }
}

export async function readRunManifest(run: string): Promise<RunManifest> {
  // Written by `describeRun`; compared field by field.
  return (await readJson(path.join(run, 'manifest.json'), { code: 'data' })) as unknown as RunManifest
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
    ].join(','),
  )
  return writeFileAtomic(
    path.join(out, 'history.csv'),
    ['epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds', ...rows, ''].join('\n'),
  )
}

export function writeBad(out: string, bad: readonly Pick<BadImage, 'path' | 'reason'>[]): Promise<void> {
  return writeFileAtomic(
    path.join(out, 'bad.jsonl'),
    bad.map(({ path: file, reason }) => `${JSON.stringify({ path: file, reason })}\n`).join(''),
  )
}

/** `metrics.json`, the form that scripts rely on. */
export function metricsDocument(result: TrainResult): unknown {
  return {
    best: { epoch: result.best.epoch, val_accuracy: result.best.valAccuracy, val_loss: result.best.valLoss },
    final: {
      val_accuracy: result.final.valAccuracy,
      val_loss: result.final.valLoss,
      train_accuracy: result.final.trainAccuracy,
    },
    ...(result.test ? { test: result.test } : {}),
    classes: result.classes,
    images: result.images,
    seconds: result.seconds,
    ...(result.stopped === undefined ? {} : { stopped: result.stopped }),
  }
}
