// What an ONNX file holds: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
import * as path from 'node:path'
import type { RegraftError } from '../errors.ts'
import type { OpenFile } from '../files/file-system.ts'
import { pathInside } from '../files/inside-folder.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { bytesPerElement, type DType } from '../tensor/dtype.ts'
import { checkedElementCount, formatShape, type Shape } from '../tensor/shape.ts'
import {
  type BytesField,
  fieldsOf,
  longestFieldHead,
  type ProtobufField,
  packedVarints,
  readField,
} from './protobuf.ts'
import { type KnownFile, readKnown, withSameFile } from './same-file.ts'
import { type StoredTensor, tensorError, weightsError } from './stored-tensors.ts'

export interface OnnxFile {
  /** Version of the standard set of operators. */
  readonly opset: number
  /** In the order of the file. */
  readonly nodes: readonly OnnxNode[]
  readonly initialisers: readonly StoredTensor[]
  readonly inputs: readonly OnnxValueInfo[]
  readonly outputs: readonly OnnxValueInfo[]
}

export interface OnnxNode {
  readonly name: string
  readonly op: string
  /** Empty for the standard operators. */
  readonly domain: string
  /** An empty name stands for an input that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, OnnxAttribute>
}

export type OnnxAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'tensor'; readonly value: StoredTensor }
  | { readonly kind: 'other' }

export interface OnnxValueInfo {
  readonly name: string
  readonly dtype: DType | undefined
  /** undefined where nothing is said; a size without a number is undefined. */
  readonly shape: readonly (number | undefined)[] | undefined
}

const maxNodes = 200_000
const maxRank = 64
// A node may carry a tensor; larger ones belong among the initialisers, which are not read into memory.
const maxMessageBytes = 256 * 2 ** 20
const maxTextBytes = 65_536

const dtypes: ReadonlyMap<number, DType> = new Map<number, DType>([
  [1, 'F32'],
  [2, 'U8'],
  [3, 'I8'],
  [4, 'U16'],
  [5, 'I16'],
  [6, 'I32'],
  [7, 'I64'],
  [9, 'BOOL'],
  [10, 'F16'],
  [11, 'F64'],
  [12, 'U32'],
  [13, 'U64'],
  [16, 'BF16'],
])

const otherTypes: ReadonlyMap<number, string> = new Map([
  [8, 'STRING'],
  [14, 'COMPLEX64'],
  [15, 'COMPLEX128'],
])

/** Whether a file may be ONNX by its beginning: the version of the format comes first. */
export function looksLikeOnnx(start: Uint8Array): boolean {
  const [tag, version = 0, next = 0] = start
  // ir_version, then the producer, the graph, the operator set …
  return tag === 0x08 && version >= 1 && version <= 32 && [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42].includes(next)
}

/**
 * Reads an ONNX file but for the values of its initialisers, which stay in the file until asked for. Data outside the file
 * has to lie in its folder, links followed.
 * @throws RegraftError `weights`
 */
export function readOnnxFile(file: string): Promise<OnnxFile> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const reader = new OnnxReader(handle, { path: file, facts })
    return reader.model()
  })
}

class OnnxReader {
  private readonly handle: OpenFile
  private readonly file: KnownFile
  private readonly fail: (problem: string) => RegraftError
  private window: Uint8Array = new Uint8Array()
  private windowOffset = 0

  constructor(handle: OpenFile, file: KnownFile) {
    this.handle = handle
    this.file = file
    this.fail = (problem) => weightsError(file.path, `the ONNX file (protobuf) cannot be read: ${problem}`)
  }

  async model(): Promise<OnnxFile> {
    const total = this.file.facts.sizeBytes
    if (total === 0) throw weightsError(this.file.path, 'the file is empty (0 bytes).\nDownload or copy it again.')
    let graph: BytesField | undefined
    let opset: number | undefined
    for await (const field of this.fields(0, total)) {
      if (field.number === 7) {
        if (graph !== undefined || field.kind !== 'bytes')
          throw this.fail('it has a second graph, or one that is no message.')
        graph = field
      } else if (field.number === 8) {
        const { domain, version } = this.operatorSet(await this.bytes(field))
        if (domain !== '' && domain !== 'ai.onnx') continue
        if (opset !== undefined) throw this.fail('it names two versions of the standard operator set (opset).')
        opset = version
      }
    }
    if (graph === undefined) throw weightsError(this.file.path, 'this is not an ONNX model: it has no graph.')
    if (opset === undefined)
      throw weightsError(this.file.path, 'the ONNX model names no version of its operators (opset).')
    return { opset, ...(await this.graph(graph)) }
  }

  private async graph(place: BytesField): Promise<Omit<OnnxFile, 'opset'>> {
    const nodes: OnnxNode[] = []
    const initialisers: StoredTensor[] = []
    const inputs: OnnxValueInfo[] = []
    const outputs: OnnxValueInfo[] = []
    for await (const field of this.fields(place.begin, place.end)) {
      switch (field.number) {
        case 1:
          if (nodes.length >= maxNodes) throw this.fail(`it has more than ${maxNodes} nodes, beyond the limit.`)
          nodes.push(await this.node(await this.bytes(field)))
          break
        case 5:
          initialisers.push(await this.initialiser(field))
          break
        case 11:
          inputs.push(this.valueInfo(await this.bytes(field)))
          break
        case 12:
          outputs.push(this.valueInfo(await this.bytes(field)))
          break
        case 15:
          throw weightsError(this.file.path, 'the ONNX model has sparse initialisers, which are not supported.')
      }
    }
    return { nodes, initialisers, inputs, outputs }
  }

  /** The fields of a message in the file; tags and lengths come through a window, the bytes stay where they are. */
  private async *fields(begin: number, end: number): AsyncGenerator<ProtobufField> {
    for (let at = begin; at < end; ) {
      const wanted = Math.min(longestFieldHead, end - at)
      if (at < this.windowOffset || at + wanted > this.windowOffset + this.window.length) {
        this.windowOffset = at
        this.window = await readRange(this.handle, at, Math.min(65_536, end - at))
      }
      const shift = this.windowOffset
      const { field, next } = readField(this.window, at - shift, end - shift, this.fail)
      yield field.kind === 'varint' ? field : { ...field, begin: field.begin + shift, end: field.end + shift }
      at = next + shift
    }
  }

  private async bytes(field: ProtobufField): Promise<Uint8Array> {
    if (field.kind === 'varint') throw this.fail(`field ${field.number} is a number where a message belongs.`)
    const length = field.end - field.begin
    if (length > maxMessageBytes) throw this.fail(`a node or name takes ${formatBytes(length)}, beyond the limit.`)
    const from = field.begin - this.windowOffset
    if (from >= 0 && from + length <= this.window.length) return this.window.slice(from, from + length)
    return readKnown(this.handle, this.file, field.begin, length)
  }

  private operatorSet(bytes: Uint8Array): { domain: string; version: number } {
    let domain = ''
    let version = 0
    for (const field of this.inside(bytes)) {
      if (field.number === 1) domain = this.text(bytes, field)
      if (field.number === 2) version = this.integer(field)
    }
    return { domain, version }
  }

  private valueInfo(bytes: Uint8Array): OnnxValueInfo {
    let name = ''
    let dtype: DType | undefined
    let shape: (number | undefined)[] | undefined
    for (const field of this.inside(bytes)) {
      if (field.number === 1) name = this.text(bytes, field)
      if (field.number !== 2) continue
      const type = this.message(bytes, field)
      for (const tensor of this.inside(type)) {
        // Sequences, maps and the like have no shape that could be used.
        if (tensor.number !== 1) continue
        const body = this.message(type, tensor)
        for (const part of this.inside(body)) {
          if (part.number === 1) dtype = dtypes.get(this.integer(part))
          if (part.number === 2) shape = this.shape(this.message(body, part))
        }
      }
    }
    return { name, dtype, shape }
  }

  private shape(bytes: Uint8Array): (number | undefined)[] {
    const sizes: (number | undefined)[] = []
    for (const dimension of this.inside(bytes)) {
      if (dimension.number !== 1) continue
      if (sizes.length >= maxRank) throw this.fail(`a shape has more than ${maxRank} dimensions.`)
      const body = this.message(bytes, dimension)
      let size: number | undefined
      for (const part of this.inside(body)) if (part.number === 1) size = this.integer(part)
      if (size !== undefined && size < 0) throw this.fail('a shape has a negative dimension.')
      sizes.push(size)
    }
    return sizes
  }

  private async node(bytes: Uint8Array): Promise<OnnxNode> {
    const inputs: string[] = []
    const outputs: string[] = []
    const attributes = new Map<string, OnnxAttribute>()
    let name = ''
    let op = ''
    let domain = ''
    for (const field of this.inside(bytes)) {
      if (field.number === 1) inputs.push(this.text(bytes, field))
      else if (field.number === 2) outputs.push(this.text(bytes, field))
      else if (field.number === 3) name = this.text(bytes, field)
      else if (field.number === 4) op = this.text(bytes, field)
      else if (field.number === 7) domain = this.text(bytes, field)
      else if (field.number === 5) {
        const [key, attribute] = await this.attribute(this.message(bytes, field))
        if (attributes.has(key))
          throw this.fail(`a node of ${inertName(op, 100)} has the attribute '${inertName(key, 100)}' twice.`)
        attributes.set(key, attribute)
      }
    }
    return { name, op, domain: domain === 'ai.onnx' ? '' : domain, inputs, outputs, attributes }
  }

  private async attribute(bytes: Uint8Array): Promise<[string, OnnxAttribute]> {
    let name = ''
    let type = 0
    let single: ProtobufField | undefined
    const several: ProtobufField[] = []
    for (const field of this.inside(bytes)) {
      if (field.number === 1) name = this.text(bytes, field)
      else if (field.number === 20) type = this.integer(field)
      else if (field.number >= 2 && field.number <= 5) single = field
      else if (field.number === 7 || field.number === 8) several.push(field)
    }
    const value = await this.attributeValue(bytes, type, single, several)
    return [name, value]
  }

  private async attributeValue(
    bytes: Uint8Array,
    type: number,
    single: ProtobufField | undefined,
    several: readonly ProtobufField[],
  ): Promise<OnnxAttribute> {
    const ofType = (number: number) => (single?.number === number ? single : undefined)
    switch (type) {
      case 1:
        return { kind: 'float', value: single === undefined ? 0 : this.float(bytes, ofType(2)) }
      case 2:
        return { kind: 'int', value: single === undefined ? 0 : this.integer(ofType(3)) }
      case 3:
        return { kind: 'text', value: single === undefined ? '' : this.text(bytes, ofType(4)) }
      case 4: {
        const field = ofType(5)
        if (field === undefined) throw this.fail('an attribute that is a tensor has none.')
        return { kind: 'tensor', value: await this.tensorInMemory(this.message(bytes, field)) }
      }
      case 6:
        return { kind: 'floats', value: several.flatMap((field) => this.floats(bytes, field)) }
      case 7:
        return { kind: 'ints', value: several.flatMap((field) => this.integers(bytes, field)) }
      default:
        return { kind: 'other' }
    }
  }

  /** A tensor of the graph: everything but its values is looked at; they stay in the file. */
  private async initialiser(place: ProtobufField): Promise<StoredTensor> {
    if (place.kind !== 'bytes') throw this.fail('an initialiser is no message.')
    const parts: TensorParts = newParts()
    for await (const field of this.fields(place.begin, place.end)) {
      if (isBulk(field)) parts.bulk.push(field)
      else this.tensorField(parts, field, field.kind === 'varint' ? new Uint8Array() : await this.bytes(field), 0)
    }
    return this.tensor(parts, (begin, end) =>
      withSameFile(this.file, (handle) => readKnown(handle, this.file, begin, end - begin)),
    )
  }

  private async tensorInMemory(bytes: Uint8Array): Promise<StoredTensor> {
    const parts: TensorParts = newParts()
    for (const field of this.inside(bytes)) {
      if (isBulk(field)) parts.bulk.push(field)
      else this.tensorField(parts, field, bytes, undefined)
    }
    return this.tensor(parts, async (begin, end) => bytes.slice(begin, end))
  }

  /** @param base  0 when `bytes` are the field's own bytes alone, undefined when they are those of the whole message */
  private tensorField(parts: TensorParts, field: ProtobufField, bytes: Uint8Array, base: 0 | undefined): void {
    const own: ProtobufField =
      field.kind === 'varint' || base === undefined ? field : { ...field, begin: 0, end: field.end - field.begin }
    if (field.number === 1) parts.dims.push(...this.integers(bytes, own))
    else if (field.number === 2) parts.type = this.integer(own)
    else if (field.number === 8) parts.name = this.text(bytes, own)
    else if (field.number === 14) parts.external = this.integer(own) === 1
    else if (field.number === 3) throw this.fail('a tensor is stored in segments, which is not supported.')
    else if (field.number === 13) {
      const [key, value] = this.pair(this.message(bytes, own))
      if (parts.where.has(key)) throw this.fail(`external data gives '${inertName(key, 100)}' twice.`)
      parts.where.set(key, value)
    } else if (field.kind === 'varint' && typedData.has(field.number)) {
      // Numbers one by one, as old writers have them.
      parts.loose.push({ number: field.number, value: field.value })
    } else if (field.number === 6) throw tensorError(this.file.path, parts.name, 'the type STRING is not supported.')
    if (parts.dims.length > maxRank) throw this.fail(`a tensor has more than ${maxRank} dimensions.`)
  }

  private async tensor(
    parts: TensorParts,
    read: (begin: number, end: number) => Promise<Uint8Array>,
  ): Promise<StoredTensor> {
    const { name, type, dims } = parts
    const fail = (problem: string) => tensorError(this.file.path, name, problem)
    const dtype = dtypes.get(type)
    if (dtype === undefined) throw fail(`the data type ${otherTypes.get(type) ?? type} is not supported.`)
    if (dims.some((size) => size < 0)) throw fail(`its shape ${formatShape(dims)} has a negative dimension.`)
    const elements = checkedElementCount(dims)
    const needed = (elements ?? Number.NaN) * bytesPerElement(dtype)
    if (elements === undefined || !Number.isSafeInteger(needed))
      throw fail(`its shape ${formatShape(dims)} is too large.`)
    const tensor = { name, dtype, shape: dims as Shape }
    const sources = new Set([...parts.bulk, ...parts.loose].map(({ number }) => number))
    if (parts.external) {
      if (sources.size > 0) throw fail('it has data in the file and outside.')
      return { ...tensor, readBytes: await this.externalData(parts, needed, fail) }
    }
    if (parts.where.size > 0) throw fail('it names external data without being stored there.')
    const [source] = sources
    if (sources.size > 1) throw fail('it has its data twice, in two forms.')
    if (source === undefined) {
      if (elements > 0) throw fail(`its data is missing: ${needed} bytes for the shape ${formatShape(dims)}.`)
      return { ...tensor, readBytes: async () => new Uint8Array() }
    }
    if (source !== rawData)
      return { ...tensor, readBytes: await this.typedValues(parts, source, dtype, elements, read, fail) }
    const [place, second] = parts.bulk
    if (place === undefined || second !== undefined) throw fail('it has its data twice.')
    if (place.end - place.begin !== needed) {
      throw fail(
        `its shape ${formatShape(dims)} of ${dtype} needs ${needed} bytes, its data has a size of ${place.end - place.begin}.`,
      )
    }
    return { ...tensor, readBytes: () => read(place.begin, place.end) }
  }

  /** Values in a field of their type, packed or one by one, checked for their number and turned into bytes. */
  private async typedValues(
    parts: TensorParts,
    source: number,
    dtype: DType,
    elements: number,
    read: (begin: number, end: number) => Promise<Uint8Array>,
    fail: (problem: string) => RegraftError,
  ): Promise<() => Promise<Uint8Array>> {
    const expected = typedData.get(source)
    if (!expected?.includes(dtype)) throw fail(`its data is in the field of another type than ${dtype}.`)
    const stored = parts.bulk.reduce((sum, { begin, end }) => sum + end - begin, 0)
    const width = source === 4 ? 4 : source === 10 ? 8 : undefined
    if (width !== undefined) {
      if (stored !== elements * width)
        throw fail(`its data has a size of ${stored} bytes, ${elements * width} are needed.`)
    } else if (stored > maxMessageBytes)
      throw fail(`its data takes ${formatBytes(stored)} as single numbers, beyond the limit.`)
    return async () => {
      const pieces: Uint8Array[] = []
      for (const { begin, end } of parts.bulk) pieces.push(await read(begin, end))
      const bytes = Buffer.concat(pieces)
      if (width !== undefined) return new Uint8Array(bytes)
      const size = bytesPerElement(dtype)
      const result = new Uint8Array(elements * size)
      let count = 0
      const put = (value: bigint) => {
        for (let byte = 0; byte < size; byte++)
          result[count * size + byte] = Number((value >> BigInt(8 * byte)) & 0xffn)
        count += 1
        if (count > elements) throw fail(`its data has more values than its shape needs (size mismatch): ${elements}.`)
      }
      for (const value of packedVarints(bytes, 0, bytes.length, fail)) put(value)
      for (const { value } of parts.loose) put(value)
      if (count < elements) throw fail(`its data has ${count} values, ${elements} are needed (size mismatch).`)
      return result
    }
  }

  private async externalData(
    parts: TensorParts,
    needed: number,
    fail: (problem: string) => RegraftError,
  ): Promise<() => Promise<Uint8Array>> {
    const location = parts.where.get('location')
    if (location === undefined) throw fail('its external data has no location.')
    const number = (key: string, otherwise: number): number => {
      const written = parts.where.get(key)
      if (written === undefined) return otherwise
      const value = Number(written)
      if (!/^\d{1,16}$/.test(written) || !Number.isSafeInteger(value)) {
        throw fail(`the ${key} of its external data is '${inertName(written, 40)}', not a number within range.`)
      }
      return value
    }
    const offset = number('offset', 0)
    const length = number('length', needed)
    if (length !== needed)
      throw fail(`its external data has a length of ${length} bytes, its shape needs ${needed} (size mismatch).`)
    const real = await pathInside(path.dirname(this.file.path), location, { code: 'weights' })
    const place = await withOpenFile(real, { code: 'weights' }, async (_, facts): Promise<KnownFile> => {
      if (offset + length > facts.sizeBytes) {
        throw fail(
          `its external data, ${length} bytes at ${offset}, reaches beyond the end of '${inertName(location, 200)}'.`,
        )
      }
      return { path: real, facts }
    })
    return () => withSameFile(place, (handle) => readKnown(handle, place, offset, length))
  }

  private pair(bytes: Uint8Array): [string, string] {
    let key = ''
    let value = ''
    for (const field of this.inside(bytes)) {
      if (field.number === 1) key = this.text(bytes, field)
      if (field.number === 2) value = this.text(bytes, field)
    }
    return [key, value]
  }

  private inside(bytes: Uint8Array): Generator<ProtobufField> {
    return fieldsOf(bytes, 0, bytes.length, this.fail)
  }

  private message(bytes: Uint8Array, field: ProtobufField): Uint8Array {
    if (field.kind !== 'bytes') throw this.fail(`field ${field.number} is a number where a message belongs.`)
    return bytes.subarray(field.begin, field.end)
  }

  private text(bytes: Uint8Array, field: ProtobufField | undefined): string {
    if (field?.kind !== 'bytes') throw this.fail('a number stands where a text belongs.')
    if (field.end - field.begin > maxTextBytes) throw this.fail('a name is longer than any name.')
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(field.begin, field.end))
    } catch {
      throw this.fail('a text is not encoded in UTF-8.')
    }
  }

  private integer(field: ProtobufField | undefined): number {
    if (field?.kind !== 'varint') throw this.fail('an integer (varint) is expected where something else stands.')
    return this.safe(field.value)
  }

  private safe(value: bigint): number {
    const signed = BigInt.asIntN(64, value)
    const near = Number(signed)
    if (!Number.isSafeInteger(near)) {
      // Exporters write the largest and smallest integers for "to the end".
      return signed > 0n ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER
    }
    return near
  }

  private integers(bytes: Uint8Array, field: ProtobufField): number[] {
    if (field.kind === 'varint') return [this.safe(field.value)]
    if (field.kind !== 'bytes') throw this.fail('integers are expected where something else stands.')
    return [...packedVarints(bytes, field.begin, field.end, this.fail)].map((value) => this.safe(value))
  }

  private float(bytes: Uint8Array, field: ProtobufField | undefined): number {
    if (field?.kind !== 'fixed32') throw this.fail('a float is expected where something else stands.')
    return new DataView(bytes.buffer, bytes.byteOffset + field.begin).getFloat32(0, true)
  }

  private floats(bytes: Uint8Array, field: ProtobufField): number[] {
    if (field.kind === 'fixed32') return [this.float(bytes, field)]
    if (field.kind !== 'bytes' || (field.end - field.begin) % 4 !== 0) throw this.fail('floats are expected.')
    const view = new DataView(bytes.buffer, bytes.byteOffset + field.begin, field.end - field.begin)
    return Array.from({ length: view.byteLength / 4 }, (_, at) => view.getFloat32(at * 4, true))
  }
}

interface TensorParts {
  name: string
  type: number
  dims: number[]
  external: boolean
  /** Where external data lies: location, offset, length. */
  readonly where: Map<string, string>
  /** Values by their place: raw, or packed in the field of their type. */
  readonly bulk: { readonly number: number; readonly begin: number; readonly end: number }[]
  /** Values that stand as single fields. */
  readonly loose: { readonly number: number; readonly value: bigint }[]
}

function newParts(): TensorParts {
  return { name: '', type: 0, dims: [], external: false, where: new Map(), bulk: [], loose: [] }
}

const rawData = 9

/** Fields of values that are not raw, and the types that they may hold. */
const typedData: ReadonlyMap<number, readonly DType[]> = new Map<number, readonly DType[]>([
  [4, ['F32']],
  [5, ['I32', 'I16', 'I8', 'U16', 'U8', 'BOOL', 'F16', 'BF16']],
  [7, ['I64']],
  [10, ['F64']],
  [11, ['U32', 'U64']],
])

function isBulk(field: ProtobufField): field is BytesField {
  return field.kind !== 'varint' && (field.number === rawData || typedData.has(field.number))
}
