// What each file of a model was when it was first used: kept in the model's folder in the cache, so that a hub or a disk that gives
// something else under the same commit later is found out.
import * as path from 'node:path'
import { pathFacts } from '../files/folder.ts'
import { isJsonObject, type JsonObject, readJson, writeJson } from '../files/strict-json.ts'
import { isCommit } from './hub-id.ts'

export interface Pin {
  readonly bytes: number
  readonly sha256: string
}

export interface Pins {
  /** The hub that it came from; absent when another program fetched it. */
  readonly source: string | undefined
  readonly licence: string | undefined
  /** By path in the repository. */
  readonly files: ReadonlyMap<string, Pin>
}

const FORMAT = 1
const noPins: Pins = { source: undefined, licence: undefined, files: new Map() }

function fileOf(model: string): string {
  return path.join(model, '.regraft.json')
}

/** Whether regraft has used a model of the cache. */
export async function hasPins(model: string): Promise<boolean> {
  return (await pathFacts(fileOf(model))) !== undefined
}

/** What is pinned of a commit. @throws RegraftError 'weights' for a file that cannot be read */
export async function readPins(model: string, commit: string): Promise<Pins> {
  const { source, licence, files } = (await readAll(model)).get(commit) ?? {}
  const pins = new Map<string, Pin>()
  for (const [name, pin] of Object.entries(isJsonObject(files) ? files : {})) {
    if (!isJsonObject(pin)) continue
    const { bytes, sha256 } = pin
    if (typeof bytes === 'number' && typeof sha256 === 'string') pins.set(name, { bytes, sha256 })
  }
  return { ...noPins, files: pins, source: textOr(source), licence: textOr(licence) }
}

/** Adds to what is pinned of a commit. */
export async function writePins(model: string, commit: string, { source, licence, files }: Pins): Promise<void> {
  const all = await readAll(model)
  all.set(commit, {
    ...(source === undefined ? {} : { source }),
    ...(licence === undefined ? {} : { licence }),
    files: Object.fromEntries([...files].map(([name, pin]) => [name, { ...pin }])),
  })
  await writeJson(fileOf(model), { format: FORMAT, commits: Object.fromEntries(all) })
}

async function readAll(model: string): Promise<Map<string, JsonObject>> {
  const file = fileOf(model)
  if ((await pathFacts(file)) === undefined) return new Map()
  const root = await readJson(file, { code: 'weights' })
  const commits = isJsonObject(root) && root['format'] === FORMAT ? root['commits'] : undefined
  const entries = Object.entries(isJsonObject(commits) ? commits : {})
  return new Map(entries.flatMap(([commit, pins]) => (isCommit(commit) && isJsonObject(pins) ? [[commit, pins]] : [])))
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
