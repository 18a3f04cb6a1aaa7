// regraft.json: what a saved model needs beyond timm's config.json.
import * as path from 'node:path'
import { checkPreprocessing, type Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import type { Graph } from '../graph/graph.ts'
import { graphFromJson } from '../graph/graph-json.ts'
import { inertName } from '../inert-text.ts'
import type { Loss } from '../runtime/loss.ts'
import { hiddenActivation } from './hidden-activation.ts'
import { type Head, outputOf } from './model.ts'

export const FORMAT_VERSION = 1

export interface SavedModel {
  readonly preprocessing: Preprocessing
  readonly head: Head
  readonly labels: readonly string[]
  /** What it was trained with; undefined for cross-entropy of softmax. */
  readonly loss: Loss | undefined
  /** Probability below which a prediction counts as unknown. */
  readonly threshold: number | undefined
  /** The network, where no architecture builds it. */
  readonly graph: Graph | undefined
  /** The network that the head belongs to, where it is not beside it. */
  readonly backbone: Backbone | undefined
  /** SHA-256 of the files beside it, by their names. */
  readonly digests: ReadonlyMap<string, string>
}

/** A network that is elsewhere. */
export interface Backbone {
  /** As the user named it. */
  readonly name: string
  readonly architecture: string
  /** SHA-256 of its weight file. */
  readonly sha256: string
  /** The one that gives the features. */
  readonly layer: string
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
  if (typeof typed.cropPct !== 'number') return fail('preprocessing', 'lacks the number cropPct')
  try {
    checkPreprocessing(typed)
  } catch (cause) {
    throw new RegraftError('weights', `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      file,
      cause,
    })
  }
  const head = readHead(root['head'], fail)
  if ((head.kind === 'none') !== (names.length === 0))
    return fail('labels', `has ${names.length} names, which does not go with the head '${head.kind}'`)
  const loss = readLoss(root['loss'], fail)
  const output = outputOf({ head, ...(loss && { loss }) })
  if (root['output'] !== output)
    return fail('output', `is ${JSON.stringify(root['output'])}; for this head and loss ${output} is understood`)
  const graph = readGraph(root['graph'], fail)
  const threshold = root['threshold']
  if (threshold !== undefined && !(typeof threshold === 'number' && threshold >= 0 && threshold <= 1))
    return fail('threshold', 'is not a number from 0 to 1')
  const backbone = readBackbone(root['backbone'], fail)
  const digests = readDigests(root['digests'], fail)
  return { preprocessing: typed, labels: names, loss, threshold, head, graph, backbone, digests }
}

function readBackbone(
  value: JsonValue | undefined,
  fail: (field: string, problem: string) => never,
): Backbone | undefined {
  if (value === undefined) return undefined
  const { name, architecture, sha256, layer } = isObject(value) ? value : fail('backbone', 'is no table')
  if (
    typeof name !== 'string' ||
    typeof architecture !== 'string' ||
    typeof sha256 !== 'string' ||
    typeof layer !== 'string'
  )
    return fail('backbone', 'lacks name, architecture, sha256 or layer')
  return { name, architecture, sha256, layer }
}

function readGraph(value: JsonValue | undefined, fail: (field: string, problem: string) => never): Graph | undefined {
  if (value === undefined) return undefined
  try {
    return graphFromJson(value)
  } catch (error) {
    return fail('graph', `cannot be read: ${error instanceof Error ? inertName(error.message, 400) : String(error)}`)
  }
}

function readDigests(
  value: JsonValue | undefined,
  fail: (field: string, problem: string) => never,
): ReadonlyMap<string, string> {
  // Who changed a file on purpose takes them out.
  if (value === undefined) return new Map()
  if (!isObject(value)) return fail('digests', 'is not a table of file names')
  const entries = Object.entries(value).map(([name, digest]): [string, string] =>
    typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest)
      ? [name, digest]
      : fail('digests', `holds no SHA-256 for ${JSON.stringify(name)}`),
  )
  return new Map(entries)
}

/** @throws RegraftError 'weights' when a file is not the one that was saved */
export function checkDigest(saved: SavedModel | undefined, file: string, sha256: string): void {
  const expected = saved?.digests.get(path.basename(file))
  if (expected === undefined || expected === sha256) return
  throw new RegraftError(
    'weights',
    `${file} is not as it was saved: its SHA-256 begins with ${sha256.slice(0, 8)}, in regraft.json with ${expected.slice(0, 8)}.\n` +
      'Copy it again; if it was changed on purpose, take "digests" out of regraft.json.',
    { file },
  )
}

function readLoss(value: JsonValue | undefined, fail: (field: string, problem: string) => never): Loss | undefined {
  if (value === undefined) return undefined
  if (!isObject(value)) return fail('loss', 'is no table')
  const { kind, margin, power, gamma, alpha, beta, delta } = value
  switch (kind) {
    case 'ce':
    case 'bce':
    case 'quadratic':
    case 'mse':
    case 'l1':
      return { kind }
    case 'smooth-l1':
      if (typeof beta === 'number' && beta > 0) return { kind, beta }
      break
    case 'huber':
      if (typeof delta === 'number' && delta > 0) return { kind, delta }
      break
    case 'hinge':
      if (typeof margin === 'number' && (power === 1 || power === 2)) return { kind, margin, power }
      break
    case 'focal':
      if (typeof gamma === 'number' && gamma >= 0) return { kind, gamma }
      break
    case 'sigmoid-focal':
      if (typeof gamma === 'number' && gamma >= 0 && typeof alpha === 'number' && alpha >= 0 && alpha <= 1)
        return { kind, gamma, alpha }
  }
  return fail('loss', `is ${inertName(JSON.stringify(value))}, which is no loss that is known`)
}

function readHead(value: JsonValue | undefined, fail: (field: string, problem: string) => never): Head {
  if (!isObject(value)) return fail('head', 'is missing')
  if (value['kind'] === 'linear' || value['kind'] === 'own' || value['kind'] === 'none') return { kind: value['kind'] }
  const whole = (field: string, least: number, most: number): number => {
    const number = value[field]
    return typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most
      ? number
      : fail('head', `needs a whole number '${field}' from ${least} to ${most}`)
  }
  if (value['kind'] === 'mlp') {
    const { activation } = value
    const known = typeof activation === 'string' && hiddenActivation(activation) !== undefined
    if (activation !== undefined && !known)
      return fail('head', `has the activation ${inertName(JSON.stringify(activation))}, which is not known`)
    const shape = { kind: 'mlp', width: whole('width', 1, 65_536), depth: whole('depth', 1, 16) } as const
    return known ? { ...shape, activation } : shape
  }
  if (value['kind'] === 'maxout')
    return { kind: value['kind'], width: whole('width', 1, 65_536), pieces: whole('pieces', 2, 64) }
  if (value['kind'] === 'knn') {
    const most = Number.MAX_SAFE_INTEGER
    const rows = whole('rows', 1, most)
    const { projected } = value
    if (typeof projected !== 'boolean') return fail('head', "needs 'projected', true or false")
    return {
      kind: value['kind'],
      neighbours: whole('neighbours', 1, rows),
      rows,
      width: whole('width', 1, most),
      projected,
    }
  }
  return fail('head', 'must be linear, own, none, mlp, maxout or knn')
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
