import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { isJsonObject, type JsonObject, readJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import type { VectorTable, VectorType } from '../vectors/vector-table.ts'
import { type VectorFormat, vectorFiles } from '../vectors/write-table.ts'

/** What `meta.json` beside vectors says. */
export interface VectorMeta {
  readonly rows: number
  readonly failed: number
  readonly layers: readonly { readonly name: string; readonly features: number }[]
  /** Names of the files of vectors. */
  readonly files: readonly string[]
  readonly dtype: VectorType
  readonly shard: { readonly index: number; readonly count: number }
  /** All of it. */
  readonly json: JsonObject
}

/** What `meta.json` says of the files of a table. */
export function describeTable({ arrays, rows }: VectorTable, format: VectorFormat, dtype: VectorType): JsonObject {
  return {
    files: vectorFiles(format, arrays),
    dtype,
    rows,
    layer: arrays.map(({ name }) => name).join(','),
    features: arrays[0]?.columns ?? 0,
    columns: arrays.map(({ columns }) => columns),
  }
}

/**
 * Reads the description of a folder that `embed` or `merge` has finished.
 * @throws RegraftError 'data' when there is none, or it is not ours
 */
export async function readVectorMeta(folder: string): Promise<VectorMeta> {
  const refuse = (problem: string) => new RegraftError('data', `${inertName(folder)} ${problem}`, { file: folder })
  const file = path.join(folder, 'meta.json')
  if ((await pathFacts(file)) === undefined) {
    const unfinished = (await pathFacts(path.join(folder, 'unfinished'))) !== undefined
    throw refuse(
      unfinished ? 'is not finished. Go on with: embed --resume.' : 'holds no vectors: meta.json is missing.',
    )
  }
  const json = await readJson(file, { code: 'data' })
  const wrong = (key: string) => refuse(`holds a meta.json that embed did not write: '${key}' is wrong.`)
  if (!isJsonObject(json)) throw wrong('format')
  const count = (object: JsonObject, key: string): number => {
    const value = object[key]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(key)
    return value
  }
  const list = <T>(key: string, fits: (value: unknown) => value is T): T[] => {
    const value: unknown = json[key]
    if (!Array.isArray(value) || !value.every(fits)) throw wrong(key)
    return value
  }
  const isText = (value: unknown): value is string => typeof value === 'string'
  const isNumber = (value: unknown): value is number => typeof value === 'number'
  const names = list('layers', isText)
  const columns = list('columns', isNumber)
  const { dtype, shard } = json
  if (dtype !== 'float32' && dtype !== 'float16') throw wrong('dtype')
  if (!isJsonObject(shard)) throw wrong('shard')
  return {
    rows: count(json, 'rows'),
    failed: count(json, 'failed'),
    layers: names.map((name, at) => ({ name, features: columns[at] ?? 0 })),
    files: list('files', isText).map((name) => path.basename(name)),
    dtype,
    shard: { index: count(shard, 'index'), count: count(shard, 'count') },
    json,
  }
}
