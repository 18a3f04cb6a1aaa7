// `split.jsonl`: which picture was used for what, and with which contents. Its SHA-256 is the fingerprint of a run's data.
//
// A fingerprint has to notice a picture that was edited, and to be the same where the data were copied to. So it goes by contents, not
// by times. Whoever trains reads every file anyway, and its digest costs a few per cent of decoding it.
import * as path from 'node:path'
import { breathing } from '../breath.ts'
import type { DataSplit, Sample } from '../data/sample.ts'
import { sha256 } from '../files/digest.ts'
import { readTextLimited } from '../files/read-file.ts'
import { isJsonObject, type JsonObject, parseStrictJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'

export interface DataRecord {
  /** The lines of split.jsonl. */
  readonly text: string
  readonly fingerprint: string
  /** SHA-256 of the contents by path; without files that could not be read. */
  readonly digests: ReadonlyMap<string, string>
}

/** The pictures with their contents, as `loadData` has seen them. */
export async function recordData(data: DataSplit): Promise<DataRecord> {
  const parts: readonly [string, readonly Sample[]][] = [
    ['train', data.train],
    ['val', data.validation],
    ['test', data.test],
  ]
  const lines: string[] = []
  const digests = new Map<string, string>()
  const breath = breathing()
  for (const [split, samples] of parts) {
    for (const sample of samples) {
      if (sample.contents) digests.set(sample.file, sample.contents.sha256)
      lines.push(lineOf(sample, data.classes[sample.label], split))
      if (breath.due()) await breath.pause()
    }
  }
  const text = lines.join('')
  return { text, fingerprint: sha256(text), digests }
}

function lineOf({ path: name, contents }: Sample, label: string | undefined, split: string): string {
  const { bytes = null, sha256: digest = null } = contents ?? {}
  return `${JSON.stringify({ path: name, label, split, bytes, sha256: digest })}\n`
}

const MOST_NAMED = 3
const MAX_SPLIT_BYTES = 2 ** 30

/** In words, how the data of a run differ from those of now; the first few differences and how many there are. */
export async function dataDifferences(
  run: string,
  before: { readonly classes: readonly string[] },
  data: DataSplit,
  now: DataRecord,
): Promise<string> {
  const classes = [
    ...data.classes
      .filter((name) => !before.classes.includes(name))
      .map((name) => `the class '${inertName(name)}' is new`),
    ...before.classes
      .filter((name) => !data.classes.includes(name))
      .map((name) => `the class '${inertName(name)}' is gone`),
  ]
  const text = await readTextLimited(path.join(run, 'split.jsonl'), MAX_SPLIT_BYTES).catch(() => '')
  const former = rowsOf(text)
  const present = rowsOf(now.text)
  const files: string[] = []
  for (const [name, row] of present) {
    const old = former.get(name)
    const difference = old === undefined ? 'is new' : rowDifference(old, row)
    if (difference !== undefined) files.push(`${inertName(name)} ${difference}`)
  }
  for (const name of former.keys()) if (!present.has(name)) files.push(`${inertName(name)} is gone`)
  const named = [...classes.slice(0, MOST_NAMED), ...files.slice(0, Math.max(1, MOST_NAMED - classes.length))]
  const more = classes.length + files.length - named.length
  return `${named.join(', ')}${more > 0 ? ` and ${more} more differences` : ''}`
}

function rowDifference(old: JsonObject, row: JsonObject): string | undefined {
  // The contents also decide for what a picture is, so this comes first.
  if (row['sha256'] === null && old['sha256'] !== null) return 'can no longer be read'
  if (old['sha256'] === null && row['sha256'] !== null) return 'could not be read before'
  if (old['label'] !== row['label']) return `was of class '${inertName(String(old['label']))}'`
  if (old['split'] !== row['split']) return `was for ${inertName(String(old['split']))}`
  return old['sha256'] === row['sha256'] ? undefined : 'has other contents'
}

/** Rows by path. Lines that cannot be read are left out: this only explains. */
function rowsOf(text: string): Map<string, JsonObject> {
  const rows = new Map<string, JsonObject>()
  for (const line of text.split('\n')) {
    const row = line === '' ? undefined : parsed(line)
    if (row && typeof row['path'] === 'string') rows.set(row['path'], row)
  }
  return rows
}

function parsed(line: string): JsonObject | undefined {
  try {
    const row = parseStrictJson(line, { file: 'split.jsonl' })
    return isJsonObject(row) ? row : undefined
  } catch {
    // A name that is not UTF-8 holds half characters, which the strict reader refuses.
    return undefined
  }
}
