import { RegraftError } from '../errors.ts'
import { type JsonObject, type JsonValue, parseStrictJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { bytesPerElement, type DType, dtypeNames, isDType } from '../tensor/dtype.ts'
import { checkedElementCount, formatShape, type Shape } from '../tensor/shape.ts'
import { tensorError } from './stored-tensors.ts'

/** Where one tensor lies; offsets in bytes from the end of the header. */
export interface TensorEntry {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  readonly begin: number
  readonly end: number
}

export interface SafetensorsHeader {
  /** In the order of the data. */
  readonly tensors: readonly TensorEntry[]
  readonly metadata: ReadonlyMap<string, string>
}

/** The format's own limit: https://github.com/huggingface/safetensors#format */
export const maxHeaderBytes = 100_000_000

// NumPy stops at 64; no layer has more than 5.
const maxRank = 64

/**
 * Reads the header and checks it against the number of data bytes that follow: every byte belongs to exactly one
 * tensor, and every tensor's shape and type fit its bytes.
 * @throws RegraftError `weights`
 */
export function parseSafetensorsHeader(bytes: Uint8Array, dataBytes: number, file: string): SafetensorsHeader {
  // A table of names may hold any name; all of them go into Maps.
  const options = {
    file,
    part: 'safetensors header',
    code: 'weights',
    maxBytes: maxHeaderBytes,
    allowProtoKey: true,
  } as const
  if (bytes[0] !== 0x7b) throw headerError(file, 'does not begin with {.\nThe file is damaged, or no safetensors file.')
  const header = parseStrictJson(bytes, options)
  if (!isObject(header)) throw headerError(file, 'is not a JSON object.')
  const tensors: TensorEntry[] = []
  let metadata: ReadonlyMap<string, string> = new Map()
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = readMetadata(value, file)
    else tensors.push(readEntry(name, value, file))
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  checkCover(tensors, dataBytes, file)
  return { tensors, metadata }
}

function readMetadata(value: JsonValue, file: string): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>()
  if (value === null) return metadata
  if (!isObject(value)) throw headerError(file, 'has a __metadata__ that is not an object of texts.')
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw headerError(file, `has metadata '${inertName(key, 100)}' that is not a text.`)
    metadata.set(key, text)
  }
  return metadata
}

function readEntry(name: string, value: JsonValue, file: string): TensorEntry {
  const fail = (problem: string) => tensorError(file, name, problem)
  if (!isObject(value)) throw fail('its header entry is not an object with dtype, shape and data_offsets.')
  const { dtype, shape, data_offsets: offsets } = value
  if (dtype === undefined) throw fail('the dtype is missing in the header.')
  if (!isDType(dtype)) {
    const shown = inertName(JSON.stringify(dtype), 40)
    throw fail(`the dtype ${shown} is not supported; known are ${dtypeNames.join(', ')}.`)
  }
  if (!isCounts(shape)) throw fail('the shape is not a list of whole numbers of 0 and above.')
  if (shape.length > maxRank) throw fail(`the shape has ${shape.length} dimensions, at most ${maxRank} are allowed.`)
  if (!isCounts(offsets)) throw fail('the data_offsets are not whole numbers within range.')
  const [begin, end] = offsets
  if (begin === undefined || end === undefined || offsets.length !== 2) throw fail('data_offsets needs two numbers.')
  if (begin > end) throw fail(`the data_offsets end (${end}) before they begin (${begin}).`)
  const elements = checkedElementCount(shape)
  const needed = elements === undefined ? undefined : elements * bytesPerElement(dtype)
  if (needed === undefined || !Number.isSafeInteger(needed)) throw fail(`the shape ${formatShape(shape)} is too large.`)
  if (needed !== end - begin) {
    throw fail(
      `the shape ${formatShape(shape)} of ${dtype} needs ${needed} bytes, the data_offsets give ${end - begin}.`,
    )
  }
  return { name, dtype, shape, begin, end }
}

/** Sorted entries have to follow each other without gap or overlap, and fill the data exactly. */
function checkCover(tensors: readonly TensorEntry[], dataBytes: number, file: string): void {
  let expected = 0
  for (const { name, begin, end } of tensors) {
    if (begin < expected)
      throw tensorError(file, name, `its data_offsets overlap the tensor before it by ${expected - begin} bytes.`)
    if (begin > expected)
      throw tensorError(file, name, `its data_offsets leave a hole of ${begin - expected} bytes before it.`)
    expected = end
  }
  if (expected > dataBytes) {
    const missing = expected - dataBytes
    throw new RegraftError(
      'weights',
      `${inertName(file)}: the file is truncated: ${missing} of ${expected} data bytes are missing; the data_offsets go beyond the end of file.\nDownload or copy it again.`,
      { file },
    )
  }
  if (expected < dataBytes) {
    throw new RegraftError(
      'weights',
      `${inertName(file)}: ${dataBytes - expected} bytes of trailing data belong to no tensor.`,
      {
        file,
      },
    )
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCounts(value: JsonValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && Number(count) >= 0)
}

function headerError(file: string, problem: string): RegraftError {
  return new RegraftError('weights', `${inertName(file)}: the safetensors header ${problem}`, { file })
}
