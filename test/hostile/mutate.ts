// Small damage to files: to bytes wherever they are, and to texts and messages so that they keep their form.
import { fieldsOf, type ProtobufField } from '../../src/formats/protobuf.ts'
import type { RandomStream } from '../../src/random.ts'

/** Integers at the edges of what readers count with. */
const edges = [0n, 1n, 2n, 3n, 7n, 127n, 128n, 255n, 256n, 65535n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n]
const wideEdges = [...edges, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]

const numberWords = [
  '0',
  '-1',
  '1',
  '2',
  '3',
  '64',
  '255',
  '4294967295',
  '4294967296',
  '9007199254740993',
  '18446744073709551616',
  '1e400',
  '0.5',
  '-0',
  '1e3',
  'NaN',
  '0x10',
]
const otherWords = [
  'null',
  'true',
  '""',
  '"__proto__"',
  '"constructor"',
  '[]',
  '{}',
  '[[]]',
  '"F32"',
  '"\\u0000"',
  '"../x"',
  '"\u001b[2J"',
  ',',
  ':',
  '(',
  ')',
  "'",
  'True',
  'None',
]

function pick<T>(random: RandomStream, items: readonly T[]): T {
  const item = items[random.integer(items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** Bytes with one to three changes: flips, edges as integers, pieces taken out, put in, doubled, or cut off. */
export function mutateBytes(bytes: Uint8Array, random: RandomStream): Uint8Array {
  let result: Uint8Array = Uint8Array.from(bytes)
  for (let change = random.integer(3); change >= 0; change--) result = changeBytes(result, random)
  return result
}

function changeBytes(bytes: Uint8Array, random: RandomStream): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.integer(256))
  const at = random.integer(bytes.length)
  const length = 1 + random.integer(Math.min(16, bytes.length - at))
  const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
  switch (random.integer(7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8))
      return bytes
    case 1:
      bytes[at] = random.integer(256)
      return bytes
    case 2: {
      const width = pick(random, [1, 2, 4, 8])
      const value = pick(random, wideEdges)
      for (let byte = 0; byte < width && at + byte < bytes.length; byte++)
        bytes[at + byte] = Number((value >> BigInt(8 * byte)) & 0xffn)
      return bytes
    }
    case 3:
      return join(bytes.subarray(0, at), bytes.subarray(at + length))
    case 4:
      return join(bytes.subarray(0, at + length), bytes.subarray(at))
    case 5:
      return join(
        bytes.subarray(0, at),
        Uint8Array.from({ length }, () => random.integer(256)),
        bytes.subarray(at),
      )
    default:
      return bytes.slice(0, at)
  }
}

/** A text of JSON or Python with one or two words exchanged, doubled or left out. */
export function mutateText(text: string, random: RandomStream): string {
  let result = text
  for (let change = random.integer(2); change >= 0; change--) {
    const words = [...result.matchAll(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\]|\\.)*"|'[^']*'|\w+|[^\s\w]/g)]
    if (words.length === 0) return result
    const word = pick(random, words)
    const [begin, end] = [word.index, word.index + word[0].length]
    const alike = () => (/^-?\d/.test(word[0]) ? pick(random, numberWords) : pick(random, otherWords))
    const sameKind = () =>
      pick(
        random,
        words.filter(([other]) => other.slice(0, 1) === word[0].slice(0, 1)),
      )[0]
    const replacement = [
      alike,
      alike,
      sameKind,
      sameKind,
      () => pick(random, numberWords),
      () => pick(random, words)[0],
      () => `${word[0]}${word[0]}`,
      () => '',
      () => '['.repeat(1 + random.integer(200)),
    ]
    result = result.slice(0, begin) + pick(random, replacement)() + result.slice(end)
  }
  return result
}

/** Which fields of a message are messages themselves, by number; the rest is text, numbers or values. */
export interface MessageShape {
  readonly [field: number]: MessageShape
}

/** A message of Protocol Buffers with one field changed, doubled, moved or left out, somewhere in the tree; lengths stay right. */
export function mutateMessage(bytes: Uint8Array, shape: MessageShape, random: RandomStream): Uint8Array {
  const fail = (problem: string) => new Error(problem)
  const fields = [...fieldsOf(bytes, 0, bytes.length, fail)]
  if (fields.length === 0) return mutateBytes(bytes, random)
  const at = random.integer(fields.length)
  const chosen = fields[at]
  const parts = fields.map((field) => encoded(field, bytes))
  if (chosen === undefined) return bytes
  const inner = chosen.kind === 'bytes' ? shape[chosen.number] : undefined
  if (chosen.kind === 'bytes' && inner !== undefined && random.integer(10) > 0) {
    parts[at] = message(chosen.number, mutateMessage(bytes.subarray(chosen.begin, chosen.end), inner, random))
    return new Uint8Array(Buffer.concat(parts))
  }
  const own = parts[at] ?? new Uint8Array()
  const other = parts[random.integer(parts.length)] ?? own
  switch (random.integer(5)) {
    case 0:
      parts.splice(at, 1)
      break
    case 1:
      parts.splice(at, 0, own)
      break
    case 2:
      parts[at] = other
      break
    default:
      parts[at] = changedField(chosen, bytes, random)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function changedField(field: ProtobufField, bytes: Uint8Array, random: RandomStream): Uint8Array {
  if (field.kind === 'varint')
    return Buffer.concat([varint(BigInt(field.number << 3)), varint(pick(random, wideEdges))])
  if (field.kind === 'bytes') return message(field.number, mutateBytes(bytes.subarray(field.begin, field.end), random))
  return message(field.number, Uint8Array.of(random.integer(256)))
}

function encoded(field: ProtobufField, bytes: Uint8Array): Uint8Array {
  if (field.kind === 'varint') return Buffer.concat([varint(BigInt(field.number << 3)), varint(field.value)])
  const content = bytes.subarray(field.begin, field.end)
  if (field.kind === 'bytes') return message(field.number, content)
  return Buffer.concat([varint(BigInt((field.number << 3) | (field.kind === 'fixed32' ? 5 : 1))), content])
}

function message(field: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(content.length)), content])
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}
