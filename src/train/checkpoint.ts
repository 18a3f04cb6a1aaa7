// A training between two steps, on disk: weights, optimiser, progress. The manifest with sizes and digests is written last and the
// folder gets its name after that, so what has the name of a checkpoint was whole once, and what is whole still can be proven.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { removeFolderAtomic, removeLeftoverFolders, writeFolderAtomic } from '../files/atomic-folder.ts'
import { sha256, sha256OfFile } from '../files/digest.ts'
import { createFolder, listFolder, pathFacts } from '../files/folder.ts'
import { isJsonObject, type JsonObject, type JsonValue, readJson, writeJson } from '../files/strict-json.ts'
import { openSafetensors, writeSafetensors } from '../formats/safetensors.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type Progress, positionName, progressFromJson } from './progress.ts'

/** Raised with every change of what stands in a checkpoint. */
const FORMAT = 2
const MANIFEST = 'manifest.json'
/** An epoch takes about 200 bytes of history: enough for a million of them. */
const MAX_STATE_BYTES = 2 ** 28

export interface Checkpointed {
  readonly progress: Progress
  /** What the training is made of: kernels, model, data, configuration. It goes on only where all of it is the same. */
  readonly origin: JsonObject
  readonly weights: ReadonlyMap<string, HostTensor>
  readonly counters: ReadonlyMap<string, number>
  readonly optimiser: ReadonlyMap<string, HostTensor>
  /** Weights of the best epoch, or those before training while there is none. */
  readonly best: ReadonlyMap<string, HostTensor>
  readonly bestCounters: ReadonlyMap<string, number>
}

const tensorFiles = ['weights', 'optimiser', 'best'] as const

/**
 * Writes a checkpoint into `checkpoints/` of a run, and removes those that are no longer kept.
 * @param keep  how many of the newest are kept, the last one between two epochs besides
 * @throws RegraftError of the disk; the checkpoints that were there before are whole then
 */
export async function writeCheckpoint(run: string, state: Checkpointed, keep: number): Promise<void> {
  const parent = path.join(run, 'checkpoints')
  await createFolder(parent)
  const name = positionName(state.progress)
  await writeFolderAtomic(path.join(parent, name), async (folder) => {
    const files: { name: string; bytes: number; sha256: string }[] = []
    const written = async (file: string) => {
      const at = path.join(folder, file)
      files.push({ name: file, bytes: (await pathFacts(at))?.sizeBytes ?? 0, sha256: await sha256OfFile(at) })
    }
    for (const part of tensorFiles) {
      const tensors = [...state[part]].map(([tensor, { shape, data }]) => ({
        name: tensor,
        dtype: 'F32' as const,
        shape,
        data,
      }))
      await writeSafetensors(path.join(folder, `${part}.safetensors`), tensors, {}, { inFreshFolder: true })
      await written(`${part}.safetensors`)
    }
    const rest = {
      progress: state.progress,
      origin: state.origin,
      counters: Object.fromEntries(state.counters),
      bestCounters: Object.fromEntries(state.bestCounters),
    }
    await writeJson(path.join(folder, 'state.json'), rest, { inFreshFolder: true })
    await written('state.json')
    const contents = { format: FORMAT, files }
    await writeJson(path.join(folder, MANIFEST), { ...contents, check: checkOf(contents) }, { inFreshFolder: true })
  })
  await prune(run, name, keep)
}

/** Removes what a killed process left beside the checkpoints, for a training that may have nothing more to save. */
export function tidyCheckpoints(run: string): Promise<void> {
  return removeLeftoverFolders(path.join(run, 'checkpoints'))
}

/** Names of the checkpoint folders, oldest first. */
export async function checkpointFolders(run: string): Promise<readonly string[]> {
  return (await placesIn(run)).map(({ name }) => name)
}

interface Place {
  readonly name: string
  readonly epochs: number
  readonly steps: number
}

async function placesIn(run: string): Promise<readonly Place[]> {
  const folder = path.join(run, 'checkpoints')
  if ((await pathFacts(folder)) === undefined) return []
  const places = (await listFolder(folder)).flatMap(({ name }) => {
    const [matched, epochs, steps = 0] = /^epoch-(\d+)(?:-step-(\d+))?$/.exec(name) ?? []
    return matched === undefined ? [] : [{ name, epochs: Number(epochs), steps: Number(steps) }]
  })
  return places.sort(byTime)
}

function byTime(a: Place, b: Place): number {
  return a.epochs - b.epochs || a.steps - b.steps
}

/** Keeps what is wanted, and of the others what cannot be removed: an old checkpoint too many harms nothing. */
async function prune(run: string, newest: string, keep: number): Promise<void> {
  const places = await placesIn(run)
  const at = places.findIndex(({ name }) => name === newest)
  // What comes after the newest was damaged, or is of steps that are made anew.
  const past = places.slice(0, at + 1)
  const kept = new Set(past.slice(-keep))
  const betweenEpochs = past.findLast(({ steps }) => steps === 0)
  if (betweenEpochs) kept.add(betweenEpochs)
  for (const place of places)
    if (!kept.has(place)) await removeFolderAtomic(path.join(run, 'checkpoints', place.name)).catch(() => undefined)
}

/**
 * The newest checkpoint that is whole. A damaged one is named and the one before is taken.
 * @param onProblem  hears of damaged checkpoints and of what is none
 * @throws RegraftError 'data' when there is none, or when it was written by another version
 */
export async function readCheckpoint(run: string, onProblem: (message: string) => void): Promise<Checkpointed> {
  await nameStrangers(run, onProblem)
  for (const name of [...(await checkpointFolders(run))].reverse()) {
    const folder = path.join(run, 'checkpoints', name)
    try {
      return await readWhole(folder)
    } catch (error) {
      if (!(error instanceof Damaged)) throw error
      onProblem(`${folder} is damaged: ${error.message}. The checkpoint before it is used.`)
    }
  }
  throw new RegraftError('data', `${run} has no checkpoint to go on from. Start the training anew with --overwrite.`, {
    file: run,
  })
}

/** The checkpoint at which the present epoch began. @throws RegraftError 'data' */
export async function readEpochStart(run: string, epochsDone: number): Promise<Checkpointed> {
  const place = (await placesIn(run)).find(({ epochs, steps }) => epochs === epochsDone && steps === 0)
  const folder = path.join(run, 'checkpoints', place?.name ?? `epoch ${epochsDone}`)
  try {
    if (place === undefined) throw new Damaged('it is missing')
    return await readWhole(folder)
  } catch (error) {
    if (!(error instanceof Damaged)) throw error
    throw new RegraftError('data', `${folder}, at which this epoch began, cannot be gone back to: ${error.message}.`, {
      file: folder,
    })
  }
}

async function nameStrangers(run: string, onProblem: (message: string) => void): Promise<void> {
  const folder = path.join(run, 'checkpoints')
  if ((await pathFacts(folder)) === undefined) return
  const known = new Set(await checkpointFolders(run))
  const strangers = (await listFolder(folder)).filter(({ name }) => !known.has(name) && !name.startsWith('.'))
  if (strangers.length === 0) return
  const names = strangers.slice(0, 3).map(({ name }) => name)
  onProblem(`${folder} holds what is no checkpoint (${names.join(', ')}); it is left alone.`)
}

/** A checkpoint that is not as it was written. */
class Damaged extends Error {}

async function readWhole(folder: string): Promise<Checkpointed> {
  const manifest = await readPart(folder, MANIFEST, 2 ** 20)
  checkFormat(folder, manifest['format'])
  const { files, format, check } = manifest
  if (check !== checkOf({ format, files })) throw new Damaged(`${MANIFEST} is not as it was written`)
  const names = new Set<string>()
  if (!Array.isArray(files)) throw new Damaged(`${MANIFEST} names no files`)
  for (const entry of files) {
    const { name, bytes, sha256 } = isJsonObject(entry) ? entry : {}
    if (typeof name !== 'string' || name !== path.basename(name)) throw new Damaged(`${MANIFEST} names an odd file`)
    names.add(name)
    const file = path.join(folder, name)
    const facts = await pathFacts(file)
    if (facts === undefined) throw new Damaged(`${name} is missing`)
    if (facts.sizeBytes !== bytes) throw new Damaged(`${name} has ${facts.sizeBytes} bytes, not ${bytes}`)
    if ((await ordinary(() => sha256OfFile(file, { code: 'data' }))) !== sha256)
      throw new Damaged(`${name} is not as it was written (its SHA-256 differs)`)
  }
  for (const name of [...tensorFiles.map((part) => `${part}.safetensors`), 'state.json'])
    if (!names.has(name)) throw new Damaged(`${MANIFEST} does not name ${name}`)

  const state = await readPart(folder, 'state.json', MAX_STATE_BYTES)
  const progress = progressFromJson(state['progress'])
  const origin = state['origin']
  const counters = countersOf(state['counters'])
  const bestCounters = countersOf(state['bestCounters'])
  if (!progress || !isJsonObject(origin) || !counters || !bestCounters) throw new Damaged('state.json lacks a part')
  if (positionName(progress) !== path.basename(folder)) throw new Damaged('state.json is of another step')
  const tensors = (part: (typeof tensorFiles)[number]) => readTensorFile(path.join(folder, `${part}.safetensors`))
  return {
    progress,
    origin,
    counters,
    bestCounters,
    weights: await tensors('weights'),
    optimiser: await tensors('optimiser'),
    best: await tensors('best'),
  }
}

/** Guards the manifest itself, which guards all else. */
function checkOf(contents: { readonly format: unknown; readonly files: unknown }): string {
  return sha256(JSON.stringify([contents.format, contents.files]))
}

function checkFormat(folder: string, format: JsonValue | undefined): void {
  if (format === FORMAT) return
  if (typeof format !== 'number') throw new Damaged(`${MANIFEST} does not say its format`)
  const writer = format > FORMAT ? 'a newer' : 'an older'
  throw new RegraftError(
    'data',
    `${folder} was written by ${writer} version of regraft (its ${MANIFEST} says format ${format}; this one reads ${FORMAT}).\n` +
      'Go on with that version, or start the training anew with --overwrite.',
    { file: folder },
  )
}

async function readPart(folder: string, name: string, maxBytes: number): Promise<JsonObject> {
  const file = path.join(folder, name)
  if ((await pathFacts(file)) === undefined) throw new Damaged(`${name} is missing`)
  const value = await ordinary(() => readJson(file, { code: 'data', maxBytes }))
  if (!isJsonObject(value)) throw new Damaged(`${name} holds no object`)
  return value
}

async function readTensorFile(file: string): Promise<Map<string, HostTensor>> {
  return await ordinary(async () => {
    const checkpoint = await openSafetensors(file)
    const tensors = new Map<string, HostTensor>()
    for (const name of checkpoint.names()) tensors.set(name, await checkpoint.read(name))
    return tensors
  })
}

/** What cannot be read counts as damage, whatever the reason: the checkpoint before may be readable. */
async function ordinary<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof RegraftError) throw new Damaged(error.message.split('\n')[0], { cause: error })
    throw error
  }
}

function countersOf(value: JsonValue | undefined): Map<string, number> | undefined {
  if (!isJsonObject(value)) return undefined
  const counters = new Map<string, number>()
  for (const [name, count] of Object.entries(value)) {
    if (typeof count !== 'number') return undefined
    counters.set(name, count)
  }
  return counters
}
