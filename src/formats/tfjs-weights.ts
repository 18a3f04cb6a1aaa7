// The weights of TensorFlow.js: a manifest of names and shapes, and shards that hold the values one after the other.
// https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
import * as path from 'node:path'
import type { OpenFile } from '../files/file-system.ts'
import { pathInside } from '../files/inside-folder.ts'
import { withOpenFile } from '../files/read-file.ts'
import { type JsonObject, type JsonValue, readJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { bytesPerElement, type DType, float16ToFloat32 } from '../tensor/dtype.ts'
import { checkedElementCount, formatShape, type Shape } from '../tensor/shape.ts'
import { type KnownFile, readKnown, withSameFile } from './same-file.ts'
import { type StoredTensor, tensorError, weightsError } from './stored-tensors.ts'

const maxRank = 64
const maxModelBytes = 64 * 2 ** 20

const dtypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['float32', 'F32'],
  ['int32', 'I32'],
  ['bool', 'BOOL'],
  ['uint8', 'U8'],
])

/** A stored value of `bits` bits stands for value·scale + min, or for a half where there is no scale. */
interface Quantisation {
  readonly bytes: 1 | 2
  readonly scale: number | undefined
  readonly min: number
}

/** Reads model.json or weights_manifest.json. */
export function readTfjsJson(file: string): Promise<JsonValue> {
  return readJson(file, { code: 'weights', maxBytes: maxModelBytes })
}

/**
 * The tensors of a manifest: their shards have to lie in the folder of `file`, links followed, and to be exactly as long as
 * the manifest says. Quantised values come out as what they stand for.
 * @param manifest  the list of groups, as in `weightsManifest`
 * @throws RegraftError `weights`
 */
export async function readTfjsManifest(file: string, manifest: JsonValue | undefined): Promise<StoredTensor[]> {
  const fail = (problem: string) => weightsError(file, `the weights manifest ${problem}`)
  if (!Array.isArray(manifest)) throw fail('(weightsManifest) is missing or no list.')
  const seen = new Set<string>()
  const tensors: StoredTensor[] = []
  for (const group of manifest) {
    if (!isObject(group)) throw fail('holds something that is no group of weights.')
    const { paths, weights } = group
    if (!Array.isArray(paths)) throw fail('has a group whose paths are no list (array).')
    if (!Array.isArray(weights)) throw fail('has a group whose weights are no list.')
    const shards: Shard[] = []
    let sizeBytes = 0
    for (const name of paths) {
      if (typeof name !== 'string') throw fail('has a path that is no text.')
      if (seen.has(name)) throw fail(`names the shard '${inertName(name, 200)}' twice (a duplicate).`)
      seen.add(name)
      const shard = await openShard(file, name)
      shards.push({ file: shard, offset: sizeBytes })
      sizeBytes += shard.facts.sizeBytes
    }
    let at = 0
    for (const weight of weights) {
      const { tensor, bytes } = readWeight(file, weight, at, shards, fail)
      tensors.push(tensor)
      at += bytes
    }
    if (at !== sizeBytes) {
      const what = at > sizeBytes ? 'are too short' : 'hold extra data'
      throw fail(
        `needs ${at} bytes, its shards hold ${sizeBytes} (size mismatch): they ${what}.\nDownload or copy them again.`,
      )
    }
  }
  return tensors
}

interface Shard {
  readonly file: KnownFile
  /** Of its first byte among all of the group. */
  readonly offset: number
}

async function openShard(file: string, name: string): Promise<KnownFile> {
  const real = await pathInside(path.dirname(file), name, { code: 'weights' })
  return withOpenFile(real, { code: 'weights' }, async (_, facts) => ({ path: real, facts }))
}

function readWeight(
  file: string,
  weight: JsonValue,
  at: number,
  shards: readonly Shard[],
  failManifest: (problem: string) => Error,
): { tensor: StoredTensor; bytes: number } {
  if (!isObject(weight) || typeof weight['name'] !== 'string') throw failManifest('has a weight without a name.')
  const { name } = weight
  const fail = (problem: string) => tensorError(file, name, problem)
  const dtype = typeof weight['dtype'] === 'string' ? dtypes.get(weight['dtype']) : undefined
  if (dtype === undefined) {
    throw fail(`the dtype ${inertName(JSON.stringify(weight['dtype']) ?? 'missing', 40)} is not supported.`)
  }
  const shape = shapeOf(weight['shape'], fail)
  const quantisation = quantisationOf(weight['quantization'], fail)
  const halves = quantisation !== undefined && quantisation.scale === undefined
  if (quantisation !== undefined && dtype !== 'F32' && (halves || dtype !== 'I32')) {
    throw fail(`its quantization does not go with the dtype ${dtype}.`)
  }
  const elements = checkedElementCount(shape)
  const bytes = (elements ?? Number.NaN) * (quantisation?.bytes ?? bytesPerElement(dtype))
  if (elements === undefined || !Number.isSafeInteger(bytes))
    throw fail(`its shape ${formatShape(shape)} is too large.`)
  const readBytes = async () => {
    const stored = await readAcross(shards, at, bytes)
    return quantisation === undefined ? stored : dequantised(stored, quantisation, dtype)
  }
  return { tensor: { name, dtype, shape, readBytes }, bytes }
}

function shapeOf(value: JsonValue | undefined, fail: (problem: string) => Error): Shape {
  if (!Array.isArray(value)) throw fail('its shape is no list.')
  if (value.length > maxRank) throw fail(`its shape has ${value.length} dimensions, at most ${maxRank} are allowed.`)
  return value.map((size) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size
    throw fail('its shape holds a dimension that is no integer of 0 and above, as a number.')
  })
}

function quantisationOf(value: JsonValue | undefined, fail: (problem: string) => Error): Quantisation | undefined {
  if (value === undefined) return undefined
  if (!isObject(value)) throw fail('its quantization is no table of fields.')
  const { dtype, scale, min } = value
  if (dtype === 'float16') return { bytes: 2, scale: undefined, min: 0 }
  if (dtype !== 'uint8' && dtype !== 'uint16') {
    throw fail(`the quantization dtype ${inertName(JSON.stringify(dtype) ?? 'missing', 40)} is not supported.`)
  }
  if (typeof scale !== 'number' || typeof min !== 'number')
    throw fail('its quantization lacks the numbers scale and min.')
  return { bytes: dtype === 'uint8' ? 1 : 2, scale, min }
}

/** Bytes of a group, which may begin in one shard and end in another. */
async function readAcross(shards: readonly Shard[], begin: number, length: number): Promise<Uint8Array> {
  const result = new Uint8Array(length)
  for (const { file, offset } of shards) {
    const from = Math.max(begin, offset)
    const to = Math.min(begin + length, offset + file.facts.sizeBytes)
    if (from >= to) continue
    const read = (handle: OpenFile) => readKnown(handle, file, from - offset, to - from)
    result.set(await withSameFile(file, read), from - begin)
  }
  return result
}

function dequantised(stored: Uint8Array, { bytes, scale, min }: Quantisation, dtype: DType): Uint8Array {
  const numbers = bytes === 1 ? stored : new Uint16Array(new Uint8Array(stored).buffer)
  if (scale === undefined) return new Uint8Array(float16ToFloat32(Uint16Array.from(numbers)).buffer)
  if (dtype === 'F32') return new Uint8Array(Float32Array.from(numbers, (number) => number * scale + min).buffer)
  return new Uint8Array(Int32Array.from(numbers, (number) => Math.round(number * scale + min)).buffer)
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
