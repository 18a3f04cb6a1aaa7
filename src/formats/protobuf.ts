// The wire format of Protocol Buffers, read strictly: https://protobuf.dev/programming-guides/encoding/

/** One field of a message: its number, and the number or the bytes that it carries. */
export type ProtobufField = VarintField | BytesField

export interface VarintField {
  readonly number: number
  readonly kind: 'varint'
  readonly value: bigint
}
/** Bytes, or a number of fixed width, by their place. */
export interface BytesField {
  readonly number: number
  readonly kind: 'bytes' | 'fixed32' | 'fixed64'
  readonly begin: number
  readonly end: number
}

type Fail = (problem: string) => Error

/** Bytes that every field's tag and length fit into. */
export const longestFieldHead = 20

/** The fields of a message in memory, in their order. */
export function* fieldsOf(bytes: Uint8Array, begin: number, end: number, fail: Fail): Generator<ProtobufField> {
  for (let at = begin; at < end; ) {
    const { field, next } = readField(bytes, at, end, fail)
    yield field
    at = next
  }
}

/**
 * The field at an offset. Only its tag and, for bytes, its length are looked at.
 * @param end  where the message ends; the bytes may end before that
 */
export function readField(
  bytes: Uint8Array,
  at: number,
  end: number,
  fail: Fail,
): { readonly field: ProtobufField; readonly next: number } {
  const tag = readVarint(bytes, at, end, fail)
  if (tag.value > 0xffffffffn || tag.value < 8n) throw fail(`the tag ${tag.value} of a field cannot be parsed.`)
  const number = Number(tag.value >> 3n)
  const wire = Number(tag.value & 7n)
  if (wire === 0) {
    const { value, next } = readVarint(bytes, tag.next, end, fail)
    return { field: { number, kind: 'varint', value }, next }
  }
  if (wire === 1 || wire === 5) {
    const next = tag.next + (wire === 1 ? 8 : 4)
    if (next > end) throw fail('it is truncated: a number reaches beyond the end of its message.')
    return { field: { number, kind: wire === 1 ? 'fixed64' : 'fixed32', begin: tag.next, end: next }, next }
  }
  if (wire !== 2) throw fail(`the wire type ${wire} of field ${number} cannot be parsed.`)
  const length = readVarint(bytes, tag.next, end, fail)
  if (length.value > BigInt(end - length.next)) {
    throw fail(`it is truncated: field ${number} has a length of ${length.value} bytes, beyond the end of its message.`)
  }
  const next = length.next + Number(length.value)
  return { field: { number, kind: 'bytes', begin: length.next, end: next }, next }
}

/** The varints of a packed field. */
export function* packedVarints(bytes: Uint8Array, begin: number, end: number, fail: Fail): Generator<bigint> {
  for (let at = begin; at < end; ) {
    const { value, next } = readVarint(bytes, at, end, fail)
    yield value
    at = next
  }
}

function readVarint(bytes: Uint8Array, at: number, end: number, fail: Fail): { value: bigint; next: number } {
  let low = 0
  // Most are short; those stay out of BigInt until the end.
  for (let count = 0; count < 4; count++) {
    const byte = byteAt(bytes, at + count, end, fail)
    low |= (byte & 0x7f) << (7 * count)
    if (byte < 0x80) return { value: BigInt(low), next: at + count + 1 }
  }
  let value = BigInt(low)
  for (let count = 4; count < 10; count++) {
    const byte = byteAt(bytes, at + count, end, fail)
    value |= BigInt(byte & 0x7f) << BigInt(7 * count)
    if (byte < 0x80) {
      if (value >= 1n << 64n) break
      return { value, next: at + count + 1 }
    }
  }
  throw fail('a varint has more than 64 bits; it is malformed.')
}

function byteAt(bytes: Uint8Array, at: number, end: number, fail: Fail): number {
  const byte = at < end ? bytes[at] : undefined
  if (byte === undefined) throw fail('it is truncated: it ends inside a varint.')
  return byte
}
