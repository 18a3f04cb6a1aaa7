// A training between two epochs, on disk: weights, optimiser, progress. The manifest with sizes and digests is written last, so a
// folder without a matching manifest is no checkpoint.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { sha256OfFile } from '../files/digest.ts'
import { createFolder, listFolder, pathFacts, removeFolder } from '../files/folder.ts'
import { type JsonObject, type JsonValue, readJson, writeJson } from '../files/strict-json.ts'
import { openSafetensors, writeSafetensors } from '../formats/safetensors.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import type { EpochRecord } from './events.ts'
import type { Progress } from './fit.ts'

/** Checkpoints of a run that are kept; the one before the newest is the fallback. */
const KEPT = 2
const FORMAT = 1

export interface Checkpointed {
  readonly progress: Progress
  readonly weights: ReadonlyMap<string, HostTensor>
  readonly counters: ReadonlyMap<string, number>
  readonly optimiser: ReadonlyMap<string, HostTensor>
  /** Weights of the best epoch; absent when it is this one or there is none. */
  readonly best?: ReadonlyMap<string, HostTensor>
  readonly bestCounters?: ReadonlyMap<string, number>
}

const tensorsOf = (tensors: ReadonlyMap<string, HostTensor>) =>
  [...tensors].map(([name, tensor]) => ({ name, dtype: 'F32' as const, shape: tensor.shape, data: tensor.data }))

function folderName(epochs: number): string {
  return `epoch-${String(epochs).padStart(5, '0')}`
}

/** Writes a checkpoint into `checkpoints/` of a run, and removes the oldest. */
export async function writeCheckpoint(run: string, state: Checkpointed): Promise<void> {
  const folder = path.join(run, 'checkpoints', folderName(state.progress.epochsDone))
  if ((await pathFacts(folder)) !== undefined) await removeFolder(folder)
  await createFolder(folder)
  const files = ['weights.safetensors', 'optimiser.safetensors', 'state.json']
  await writeSafetensors(path.join(folder, 'weights.safetensors'), tensorsOf(state.weights))
  await writeSafetensors(path.join(folder, 'optimiser.safetensors'), tensorsOf(state.optimiser))
  if (state.best) {
    await writeSafetensors(path.join(folder, 'best.safetensors'), tensorsOf(state.best))
    files.push('best.safetensors')
  }
  await writeJson(path.join(folder, 'state.json'), {
    ...state.progress,
    counters: Object.fromEntries(state.counters),
    ...(state.bestCounters ? { bestCounters: Object.fromEntries(state.bestCounters) } : {}),
  })
  const entries = await Promise.all(
    files.map(async (name) => {
      const file = path.join(folder, name)
      return { name, bytes: (await pathFacts(file))?.sizeBytes ?? 0, sha256: await sha256OfFile(file) }
    }),
  )
  await writeJson(path.join(folder, 'manifest.json'), { format: FORMAT, files: entries })
  const all = await checkpointFolders(run)
  for (const old of all.slice(0, -KEPT)) await removeFolder(path.join(run, 'checkpoints', old))
}

/** Names of the checkpoint folders, oldest first. */
export async function checkpointFolders(run: string): Promise<readonly string[]> {
  const folder = path.join(run, 'checkpoints')
  if ((await pathFacts(folder)) === undefined) return []
  const names = (await listFolder(folder)).map((entry) => entry.name)
  return names.filter((name) => /^epoch-\d+$/.test(name)).sort()
}

/**
 * The newest checkpoint that is whole. A damaged one is named through `onDamaged` and the one before is taken.
 * @throws RegraftError 'data' when there is none
 */
export async function readCheckpoint(run: string, onDamaged: (message: string) => void): Promise<Checkpointed> {
  for (const name of [...(await checkpointFolders(run))].reverse()) {
    const folder = path.join(run, 'checkpoints', name)
    try {
      return await readWhole(folder)
    } catch (error) {
      if (!(error instanceof RegraftError)) throw error
      onDamaged(`${folder} is damaged (${error.message}); the checkpoint before it is used.`)
    }
  }
  throw new RegraftError('data', `${run} has no checkpoint to go on from. Start the training anew with --overwrite.`, {
    file: run,
  })
}

async function readWhole(folder: string): Promise<Checkpointed> {
  const manifest = object(await readJson(path.join(folder, 'manifest.json'), { code: 'data' }), folder)
  const files = manifest['files']
  if (manifest['format'] !== FORMAT || !Array.isArray(files))
    throw damaged(folder, 'its manifest is not one of this version')
  for (const entry of files) {
    const { name, sha256 } = object(entry, folder)
    if (typeof name !== 'string' || name !== path.basename(name))
      throw damaged(folder, 'its manifest names an odd file')
    if ((await sha256OfFile(path.join(folder, name))) !== sha256)
      throw damaged(folder, `${name} is not as it was written`)
  }
  const state = object(await readJson(path.join(folder, 'state.json'), { code: 'data' }), folder)
  const has = (name: string) => files.some((entry) => object(entry, folder)['name'] === name)
  const counters = (value: JsonValue | undefined) =>
    new Map(Object.entries(object(value ?? {}, folder)).map(([name, count]) => [name, Number(count)]))
  return {
    progress: progressOf(state, folder),
    weights: await readAll(path.join(folder, 'weights.safetensors')),
    counters: counters(state['counters']),
    optimiser: await readAll(path.join(folder, 'optimiser.safetensors')),
    ...(has('best.safetensors')
      ? { best: await readAll(path.join(folder, 'best.safetensors')), bestCounters: counters(state['bestCounters']) }
      : {}),
  }
}

function progressOf(state: JsonObject, folder: string): Progress {
  const { epochsDone, stepsDone, bestEpoch, history } = state
  if (
    typeof epochsDone !== 'number' ||
    typeof stepsDone !== 'number' ||
    typeof bestEpoch !== 'number' ||
    !Array.isArray(history)
  ) {
    throw damaged(folder, 'state.json lacks its numbers')
  }
  const records = history.map((entry): EpochRecord => {
    const row = object(entry, folder)
    const field = (name: string): number => Number(row[name] ?? Number.NaN)
    return {
      epoch: field('epoch'),
      learningRate: field('learningRate'),
      trainLoss: field('trainLoss'),
      trainAccuracy: field('trainAccuracy'),
      validationLoss: field('validationLoss'),
      validationAccuracy: field('validationAccuracy'),
      seconds: field('seconds'),
    }
  })
  return { epochsDone, stepsDone, bestEpoch, history: records }
}

async function readAll(file: string): Promise<Map<string, HostTensor>> {
  const checkpoint = await openSafetensors(file)
  const tensors = new Map<string, HostTensor>()
  for (const name of checkpoint.names()) tensors.set(name, await checkpoint.read(name))
  return tensors
}

function object(value: JsonValue | undefined, folder: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(folder, 'a part of it has the wrong form')
  return value
}

function damaged(folder: string, reason: string): RegraftError {
  return new RegraftError('data', reason, { file: folder })
}
