// The compiled kernels, alone on one thread, over a memory whose allocations are fenced by guard bytes.

import { existsSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

/** The compiled files. All of them run everywhere; not everywhere as fast. */
export const builds = ['baseline', 'relaxed', 'relaxed-6x8', 'relaxed-256'] as const
export type Build = (typeof builds)[number]

type Kernel = (...values: number[]) => void

interface Memory {
  readonly buffer: SharedArrayBuffer
}

/** The part of WebAssembly used here; the library of types without a browser does not know its constructors. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => Memory
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

// Every Node has it, under this name.
const wasm = Reflect.get(globalThis, 'WebAssembly') as unknown as Wasm

const GUARD_BYTES = 64
const GUARD = 0xa5
/** Below lie the kernels' constants. */
const FIRST_BYTE = 65536

/** One build of the kernels and a memory to use them on. */
export class Bench {
  readonly #memory: Memory
  readonly #kernels: ReadonlyMap<string, Kernel>
  readonly #places: { pointer: number; bytes: number }[] = []
  #end = FIRST_BYTE

  constructor(build: Build, megabytes = 64) {
    this.#memory = new wasm.Memory({ initial: megabytes * 16, maximum: 65536, shared: true })
    const instance = new wasm.Instance(compile(build), { env: { memory: this.#memory } })
    // Every exported function takes numbers and returns nothing: the calling convention of assembly/README.md.
    const functions = Object.entries(instance.exports).filter(([, value]) => typeof value === 'function')
    this.#kernels = new Map(functions as [string, Kernel][])
  }

  /** Runs a kernel; its last two arguments are the range of its units. */
  run(name: string, ...values: number[]): void {
    const kernel = this.#kernels.get(name)
    if (!kernel) throw new Error(`No kernel '${name}'; there are ${[...this.#kernels.keys()].join(', ')}`)
    kernel(...values)
  }

  /** Copies values in, and gives their pointer (a multiple of 16, guard bytes on both sides). */
  place(values: Float32Array | Float64Array | Int32Array | Uint8Array): number {
    const pointer = this.#reserve(values.byteLength)
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    new Uint8Array(this.#memory.buffer).set(bytes, pointer)
    return pointer
  }

  /** Room for f32 values that hold NaN until they are written. */
  room(count: number): number {
    return this.place(new Float32Array(count).fill(Number.NaN))
  }

  floats(pointer: number, count: number): Float32Array {
    return new Float32Array(this.#memory.buffer, pointer, count).slice()
  }

  doubles(pointer: number, count: number): Float64Array {
    return new Float64Array(this.#memory.buffer, pointer, count).slice()
  }

  /** Whether no byte around the allocations was touched. */
  guardsIntact(): boolean {
    const memory = new Uint8Array(this.#memory.buffer)
    return this.#places.every(({ pointer, bytes }) => {
      const before = memory.subarray(pointer - GUARD_BYTES, pointer)
      const after = memory.subarray(pointer + bytes, pointer + bytes + GUARD_BYTES)
      return before.every((byte) => byte === GUARD) && after.every((byte) => byte === GUARD)
    })
  }

  /** Forgets all allocations. */
  clear(): void {
    this.#places.length = 0
    this.#end = FIRST_BYTE
  }

  #reserve(bytes: number): number {
    const pointer = this.#end + GUARD_BYTES
    this.#end = pointer + Math.ceil(bytes / 16) * 16 + GUARD_BYTES
    if (this.#end > this.#memory.buffer.byteLength) throw new Error(`The bench's memory is full (${this.#end} bytes)`)
    const memory = new Uint8Array(this.#memory.buffer)
    memory.fill(GUARD, pointer - GUARD_BYTES, this.#end)
    this.#places.push({ pointer, bytes })
    return pointer
  }
}

function compile(build: Build): object {
  const file = new URL(`../../wasm/kernels.${build}.wasm`, import.meta.url)
  if (!existsSync(file)) throw new Error(`${file.pathname} is missing. Build it with: npm run build:kernels`)
  // Relaxed SIMD is behind a flag on Node 20 only; later versions refuse the flag.
  const flagged = build !== 'baseline' && process.versions.node.startsWith('20.')
  if (flagged) setFlagsFromString('--experimental-wasm-relaxed-simd')
  return new wasm.Module(readFileSync(file))
}
