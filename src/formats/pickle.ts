// The stack machine of Python's pickles, protocols 2 to 5, without anything that runs: a name in a pickle either stands
// in the closed table of `pytorch-names.ts` or refuses the file. https://docs.python.org/3/library/pickletools.html
import type { RegraftError } from '../errors.ts'
import { describe, isKind, type PickleName, type PickleValue } from './pickle-values.ts'
import { meaningOf, refusalOf } from './pytorch-names.ts'
import { storageFrom, tensorFrom } from './pytorch-tensor.ts'
import { weightsError } from './stored-tensors.ts'

/** Thrown where the bytes end before the pickle does; for who read only a part of the file. */
export class PickleEnd extends Error {}

// A training checkpoint of a large network takes some 100,000.
const maxOperations = 2_000_000
const maxMarks = 1000
const maxLongBytes = 1024
const maxNameBytes = 1000

/**
 * Reads one pickle.
 * @param at    offset of its first byte
 * @param part  what it is in the file, for messages
 * @returns     its value, and the offset after it
 * @throws RegraftError `weights`; PickleEnd when the bytes end first
 */
export function readPickle(
  bytes: Uint8Array,
  at: number,
  where: { readonly file: string; readonly part: string },
): { readonly value: PickleValue; readonly end: number } {
  return new PickleMachine(bytes, at, where).run()
}

class PickleMachine {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly where: { readonly file: string; readonly part: string }
  private readonly start: number
  private at: number
  private readonly stack: PickleValue[] = []
  /** Heights of the stack where marks lie. */
  private readonly marks: number[] = []
  private readonly memo = new Map<number, PickleValue>()

  constructor(bytes: Uint8Array, at: number, where: { readonly file: string; readonly part: string }) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.where = where
    this.start = at
    this.at = at
  }

  run(): { value: PickleValue; end: number } {
    for (let count = 0; count < maxOperations; count++) {
      const opcode = this.byte()
      if (opcode === 0x2e) {
        // STOP
        const value = this.pop()
        if (this.stack.length > 0 || this.marks.length > 0)
          throw this.fail('it stops with more than one value on its stack.')
        return { value, end: this.at }
      }
      const value = this.read(opcode)
      if (value !== undefined) this.stack.push(value)
      else if (!this.act(opcode)) {
        throw this.fail(`the opcode 0x${opcode.toString(16).padStart(2, '0')} is unknown or unsupported.`)
      }
    }
    throw this.fail(`it has more than ${maxOperations} operations, which is beyond the limit.`)
  }

  /** The value that an operation puts on the stack; undefined for operations that do something else. */
  private read(opcode: number): PickleValue | undefined {
    switch (opcode) {
      case 0x4e: // NONE
        return null
      case 0x88: // NEWTRUE
        return true
      case 0x89: // NEWFALSE
        return false
      case 0x4b: // BININT1
        return this.byte()
      case 0x4d: // BININT2
        return this.unsigned(2)
      case 0x4a: // BININT
        return this.view.getInt32(this.take(4), true)
      case 0x8a: // LONG1
        return this.long(this.byte())
      case 0x8b: // LONG4
        return this.long(this.view.getInt32(this.take(4), true))
      case 0x47: // BINFLOAT
        return this.view.getFloat64(this.take(8), false)

      case 0x8c: // SHORT_BINUNICODE
        return this.text(this.byte())
      case 0x58: // BINUNICODE
        return this.text(this.unsigned(4))
      case 0x8d: // BINUNICODE8
        return this.text(this.length8())
      case 0x43: // SHORT_BINBYTES
        return this.raw(this.byte())
      case 0x42: // BINBYTES
        return this.raw(this.unsigned(4))
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.raw(this.length8())
      case 0x55: // SHORT_BINSTRING, text of Python 2
        return this.oldText(this.byte())
      case 0x54: // BINSTRING
        return this.oldText(this.view.getInt32(this.take(4), true))

      case 0x29: // EMPTY_TUPLE
        return { kind: 'tuple', items: [] }
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return { kind: 'tuple', items: this.popSeveral(opcode - 0x84) }
      case 0x74: // TUPLE
        return { kind: 'tuple', items: this.popMark() }
      case 0x5d: // EMPTY_LIST
        return { kind: 'list', items: [] }
      case 0x6c: // LIST
        return { kind: 'list', items: this.popMark() }
      case 0x7d: // EMPTY_DICT
        return { kind: 'dict', entries: [] }
      case 0x64: // DICT
        return { kind: 'dict', entries: this.pairsOf(this.popMark()) }
      case 0x8f: // EMPTY_SET
        return { kind: 'opaque', name: 'builtins.set' }
      case 0x91: // FROZENSET
        this.popMark()
        return { kind: 'opaque', name: 'builtins.frozenset' }

      case 0x32: // DUP
        return this.top()
      case 0x68: // BINGET
        return this.remembered(this.byte())
      case 0x6a: // LONG_BINGET
        return this.remembered(this.unsigned(4))
      case 0x63: // GLOBAL
        return this.named(this.line(), this.line())
      case 0x93: // STACK_GLOBAL
        return this.stackGlobal()
      case 0x52: // REDUCE
        return this.reduce()
      case 0x81: // NEWOBJ
        return this.newObject(this.popSeveral(2))
      case 0x92: // NEWOBJ_EX; its third value are keywords
        return this.newObject(this.popSeveral(3).slice(0, 2))
      case 0x69: {
        // INST
        const type = this.named(this.line(), this.line())
        return this.newObject([type, { kind: 'tuple', items: this.popMark() }])
      }
      case 0x6f: {
        // OBJ
        const [type = null, ...items] = this.popMark()
        return this.newObject([type, { kind: 'tuple', items }])
      }
      case 0x51: // BINPERSID
        return storageFrom(this.pop(), (problem) => this.fail(problem))
      default:
        return undefined
    }
  }

  /** Operations that change what is there; false for an opcode that is not known. */
  private act(opcode: number): boolean {
    switch (opcode) {
      case 0x80: // PROTO
        this.protocol()
        return true
      case 0x95: // FRAME
        if (this.length8() > this.bytes.length - this.at) throw this.ended()
        return true
      case 0x28: // MARK
        this.mark()
        return true
      case 0x30: // POP
        if (this.marks.at(-1) === this.stack.length) this.marks.pop()
        else this.pop()
        return true
      case 0x31: // POP_MARK
        this.popMark()
        return true
      case 0x61: // APPEND
        this.append(this.popSeveral(1))
        return true
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.append(this.popMark())
        return true
      case 0x73: // SETITEM
        this.setItems(this.popSeveral(2))
        return true
      case 0x75: // SETITEMS
        this.setItems(this.popMark())
        return true
      case 0x71: // BINPUT
        this.memo.set(this.byte(), this.top())
        return true
      case 0x72: // LONG_BINPUT
        this.memo.set(this.unsigned(4), this.top())
        return true
      case 0x94: // MEMOIZE
        this.memo.set(this.memo.size, this.top())
        return true
      case 0x62: // BUILD
        this.build()
        return true
      default:
        return false
    }
  }

  private protocol(): void {
    const version = this.byte()
    if (this.at !== this.start + 2 || version > 5) {
      throw this.fail(`it is written in protocol ${version}; the versions 2 to 5 are read.`)
    }
  }

  private named(module: string, name: string): PickleName {
    const meaning = meaningOf(module, name)
    if (meaning === undefined) throw this.fail(refusalOf(module, name))
    return { kind: 'name', name: `${module}.${name}`, meaning }
  }

  private stackGlobal(): PickleName {
    const [module, name] = this.popSeveral(2)
    if (typeof module === 'string' && typeof name === 'string') return this.named(module, name)
    throw this.fail('a global is not named by two texts.')
  }

  private reduce(): PickleValue {
    const [callee = null, args = null] = this.popSeveral(2)
    if (!isKind(callee, 'name') || !isKind(args, 'tuple')) {
      throw this.fail(`REDUCE calls ${describe(callee)}, which is not callable, or without a tuple.`)
    }
    const { meaning } = callee
    switch (meaning.kind) {
      case 'opaque':
        return { kind: 'opaque', name: callee.name }
      case 'ordered-dict':
        return { kind: 'dict', entries: this.orderedEntries(args.items) }
      case 'size':
        return args.items.length === 1 && isKind(args.items[0], 'tuple') ? args.items[0] : args
      case 'parameter': {
        const [data = null] = args.items
        if (isKind(data, 'tensor')) return data
        throw this.fail(`a parameter is made of ${describe(data)}, not of a tensor.`)
      }
      case 'tensor':
        return tensorFrom(args.items, meaning.version, (problem) => this.fail(problem))
      case 'storage':
      case 'element-type':
        throw this.fail(`${callee.name} is called, which is not supported.`)
    }
  }

  /** The argument of OrderedDict: nothing, or a list of pairs, which Python 2 wrote. */
  private orderedEntries([pairs, ...more]: readonly PickleValue[]): [PickleValue, PickleValue][] {
    if (pairs === undefined) return []
    if (more.length > 0 || !isKind(pairs, 'list')) throw this.fail('an OrderedDict is not made of a list of pairs.')
    return pairs.items.map((pair) => {
      const [key, value, ...more] = isKind(pair, 'tuple') || isKind(pair, 'list') ? pair.items : []
      if (key !== undefined && value !== undefined && more.length === 0) return [key, value]
      throw this.fail('an OrderedDict is not made of a list of pairs.')
    })
  }

  private pairsOf(items: readonly PickleValue[]): [PickleValue, PickleValue][] {
    if (items.length % 2 !== 0) throw this.fail('a dict is given a key without a value.')
    const pairs: [PickleValue, PickleValue][] = []
    for (let at = 0; at < items.length; at += 2) pairs.push([items[at] ?? null, items[at + 1] ?? null])
    return pairs
  }

  private newObject([type = null, args = null]: readonly PickleValue[]): PickleValue {
    if (!isKind(type, 'name') || !isKind(args, 'tuple')) throw this.fail(`an object is made of ${describe(type)}.`)
    if (type.meaning.kind === 'opaque') return { kind: 'opaque', name: type.name }
    if (type.meaning.kind === 'ordered-dict' && args.items.length === 0) return { kind: 'dict', entries: [] }
    throw this.fail(`an object of ${type.name} is made in a way that is not supported.`)
  }

  /** Attributes of a dictionary (`_metadata` of a state dict) and of harmless objects are of no use here. */
  private build(): void {
    this.pop()
    const target = this.top()
    if (isKind(target, 'opaque') || isKind(target, 'dict')) return
    throw this.fail(`BUILD sets the state of ${describe(target)}, which is not a dict.`)
  }

  private append(items: readonly PickleValue[]): void {
    const target = this.top()
    if (isKind(target, 'list')) for (const item of items) target.items.push(item)
    else if (!isKind(target, 'opaque'))
      throw this.fail(`items are appended to ${describe(target)}, which is not a list.`)
  }

  private setItems(items: readonly PickleValue[]): void {
    const target = this.top()
    if (isKind(target, 'opaque')) return
    if (!isKind(target, 'dict')) throw this.fail(`SETITEM sets items of ${describe(target)}, which is not a dict.`)
    for (const pair of this.pairsOf(items)) target.entries.push(pair)
  }

  private remembered(index: number): PickleValue {
    const value = this.memo.get(index)
    if (value === undefined) throw this.fail(`it asks for the memo ${index}, which was never put.`)
    return value
  }

  private top(): PickleValue {
    const value = this.stack.at(-1)
    if (value === undefined || this.stack.length <= (this.marks.at(-1) ?? 0))
      throw this.fail('its stack is empty (underflow).')
    return value
  }

  private pop(): PickleValue {
    const value = this.top()
    this.stack.pop()
    return value
  }

  private popSeveral(count: number): PickleValue[] {
    if (this.stack.length - count < (this.marks.at(-1) ?? 0)) throw this.fail('its stack is empty (underflow).')
    return this.stack.splice(this.stack.length - count)
  }

  private mark(): void {
    if (this.marks.length >= maxMarks)
      throw this.fail(`more than ${maxMarks} marks are open, which is beyond the limit.`)
    this.marks.push(this.stack.length)
  }

  private popMark(): PickleValue[] {
    const mark = this.marks.pop()
    if (mark === undefined) throw this.fail('there is no mark on its stack.')
    return this.stack.splice(mark)
  }

  /** Moves on by `length` bytes and gives the offset of the first. */
  private take(length: number): number {
    const from = this.at
    if (length > this.bytes.length - from) throw this.ended()
    this.at = from + length
    return from
  }

  private byte(): number {
    return this.view.getUint8(this.take(1))
  }

  private unsigned(bytes: 2 | 4): number {
    const at = this.take(bytes)
    return bytes === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true)
  }

  private length8(): number {
    const length = this.view.getBigUint64(this.take(8), true)
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(`a length of ${length} bytes goes beyond the end.`)
    return Number(length)
  }

  private long(length: number): number | bigint {
    if (length < 0 || length > maxLongBytes) throw this.fail(`an integer has a length of ${length} bytes.`)
    const from = this.take(length)
    let value = 0n
    for (let byte = length - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(this.bytes[from + byte] ?? 0)
    const signed = length > 0 ? BigInt.asIntN(8 * length, value) : 0n
    const near = Number(signed)
    return Number.isSafeInteger(near) ? near : signed
  }

  private raw(length: number): Uint8Array {
    const from = this.take(length)
    return this.bytes.subarray(from, from + length)
  }

  private text(length: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.raw(length))
    } catch (error) {
      if (error instanceof PickleEnd) throw error
      throw this.fail('a text is not encoded in UTF-8.')
    }
  }

  private oldText(length: number): string {
    if (length < 0) throw this.fail(`a text has a length of ${length} bytes.`)
    return Buffer.from(this.raw(length)).toString('latin1')
  }

  private line(): string {
    const end = this.bytes.subarray(this.at, this.at + maxNameBytes).indexOf(0x0a)
    if (end < 0 && this.bytes.length - this.at < maxNameBytes) throw this.ended()
    if (end < 0) throw this.fail('a global has a name without an end.')
    const line = this.text(end)
    this.at += 1
    return line
  }

  private ended(): PickleEnd {
    return new PickleEnd(this.fail('it is truncated: the bytes end before the pickle does.').message)
  }

  private fail(problem: string): RegraftError {
    const { file, part } = this.where
    return weightsError(file, `the pickle (${part}), byte ${this.at - this.start}: ${problem}`)
  }
}
