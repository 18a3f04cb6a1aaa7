// regraft.json: what a saved model needs beyond timm's config.json.
import { checkPreprocessing, type Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import type { Head } from './model.ts'

export const FORMAT_VERSION = 1

export interface SavedModel {
  readonly preprocessing: Preprocessing
  readonly head: Head
  readonly labels: readonly string[]
}

/** Reads regraft.json; undefined when the folder is a plain timm folder. @throws RegraftError 'weights' */
export async function readSavedModel(file: string): Promise<SavedModel | undefined> {
  if ((await pathFacts(file)) === undefined) return undefined
  const root = await readJson(file, { code: 'weights' })
  const fail = (field: string, problem: string): never => {
    throw new RegraftError('weights', `${file}: '${field}' ${problem}.`, { file, where: field })
  }
  if (!isObject(root)) return fail('format', 'is missing')
  if (root['format'] !== FORMAT_VERSION)
    return fail('format', `is ${JSON.stringify(root['format'])}; this version of regraft reads ${FORMAT_VERSION}`)
  const labels = root['labels']
  if (!Array.isArray(labels)) return fail('labels', 'is not a list')
  const names = labels.map((label) =>
    typeof label === 'string' ? label : fail('labels', 'holds something that is not text'),
  )
  const preprocessing = root['preprocessing']
  if (!isObject(preprocessing)) return fail('preprocessing', 'is missing')
  // The check below tests every field; what it lets through is a Preprocessing.
  const typed = { ...preprocessing } as unknown as Preprocessing
  if (!Array.isArray(typed.mean) || !Array.isArray(typed.std)) return fail('preprocessing', 'lacks mean or std')
  try {
    checkPreprocessing(typed)
  } catch (cause) {
    throw new RegraftError('weights', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      file,
      cause,
    })
  }
  return { preprocessing: typed, labels: names, head: readHead(root['head'], fail) }
}

function readHead(value: JsonValue | undefined, fail: (field: string, problem: string) => never): Head {
  if (!isObject(value)) return fail('head', 'is missing')
  if (value['kind'] === 'linear' || value['kind'] === 'none') return { kind: value['kind'] }
  const { width, depth } = value
  if (
    value['kind'] === 'mlp' &&
    typeof width === 'number' &&
    typeof depth === 'number' &&
    width >= 1 &&
    depth >= 1 &&
    width <= 65_536 &&
    depth <= 16
  ) {
    return { kind: 'mlp', width, depth }
  }
  return fail('head', 'must be linear, none, or an mlp with width and depth')
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
