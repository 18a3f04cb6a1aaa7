import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

/** The compiled files. All of them run everywhere; not everywhere as fast. */
export const kernelBuilds = ['baseline', 'relaxed', 'relaxed-6x8', 'relaxed-256'] as const

export type KernelBuild = (typeof kernelBuilds)[number]

/** What is used of WebAssembly here; the types of Node 20 know it as a namespace of types only. */
interface WebAssemblyHost {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { buffer: SharedArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { exports: Readonly<Record<string, unknown>> }
}

type Kernel = (...parameters: number[]) => void

/** A region of wasm memory between two guards. */
export interface GuardedBuffer {
  /** Address of the first float, a multiple of 16. */
  readonly pointer: number
  readonly values: Float32Array
}

/** One build of the kernels over a memory of this thread alone, with an allocator that puts guards around everything. */
export interface DenseKernels {
  readonly build: KernelBuild
  /** Calls a kernel with pointers and numbers. */
  call(kernel: string, ...parameters: number[]): void
  /** Forgets all buffers. */
  reset(): void
  /** A buffer of zeros, or of a copy of `source`. */
  floats(source: number | ArrayLike<number>): GuardedBuffer
  integers(source: readonly number[]): number
  /** 1 MiB with a guard behind it. */
  scratch(): number
  /** How many guard bytes have changed since `reset`. */
  damagedGuards(): number
}

const guardBytes = 64
const guardValue = 0xa5
const scratchBytes = 1024 * 1024

// Every supported host has it.
const host = (globalThis as unknown as { WebAssembly: WebAssemblyHost }).WebAssembly

/** Compiles one build and instantiates it over a memory; gives its kernels by their names. */
export function instantiate(build: KernelBuild, memory: object): Readonly<Record<string, Kernel>> {
  // Relaxed SIMD is behind a flag in Node 20 only; later versions reject the flag.
  if (build !== 'baseline' && process.versions.node.startsWith('20.')) {
    setFlagsFromString('--experimental-wasm-relaxed-simd')
  }
  const bytes = readFileSync(new URL(`../../wasm/kernels.${build}.wasm`, import.meta.url))
  const abort = () => {
    throw new Error('A kernel aborted')
  }
  const { exports } = new host.Instance(new host.Module(bytes), { env: { memory, abort } })
  // Every export of the kernels that is a function takes numbers only.
  return Object.fromEntries(Object.entries(exports).filter(([, value]) => typeof value === 'function')) as Record<
    string,
    Kernel
  >
}

/** Compiles and instantiates one build, over a memory of so many megabytes. */
export function loadDenseKernels(build: KernelBuild, megabytes = 32): DenseKernels {
  const memory = new host.Memory({ initial: megabytes * 16, maximum: 65536, shared: true })
  const kernels = instantiate(build, memory)
  const all = new Uint8Array(memory.buffer)
  const firstFree = 65536
  let top = firstFree
  let guards: number[] = []

  function guard() {
    all.fill(guardValue, top, top + guardBytes)
    guards.push(top)
    top += guardBytes
  }

  /** Room for n bytes, a guard right behind them and one right before. */
  function allocate(byteLength: number): number {
    top = Math.ceil(top / 16) * 16
    guard()
    const pointer = top
    top += byteLength
    guard()
    if (top > all.length) throw new Error(`The test needs ${top} bytes of wasm memory, ${all.length} exist`)
    return pointer
  }

  return {
    build,
    call(name, ...parameters) {
      const kernel = kernels[name]
      if (kernel === undefined) throw new Error(`There is no kernel '${name}'`)
      kernel(...parameters)
    },
    reset() {
      top = firstFree
      guards = []
    },
    floats(source) {
      const length = typeof source === 'number' ? source : source.length
      const pointer = allocate(length * 4)
      const values = new Float32Array(memory.buffer, pointer, length)
      if (typeof source === 'number') values.fill(0)
      else values.set(source)
      return { pointer, values }
    },
    integers(source) {
      const pointer = allocate(source.length * 4)
      new Int32Array(memory.buffer, pointer, source.length).set(source)
      return pointer
    },
    scratch() {
      const pointer = allocate(scratchBytes)
      all.fill(0xff, pointer, pointer + scratchBytes)
      return pointer
    },
    damagedGuards() {
      let damaged = 0
      for (const start of guards) {
        for (let i = start; i < start + guardBytes; i++) if (all[i] !== guardValue) damaged++
      }
      return damaged
    },
  }
}
