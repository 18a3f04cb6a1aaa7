// One WebAssembly memory, handed out in pieces. It grows only here, never during a run.
import { RegraftError } from '../errors.ts'
import { formatBytes } from '../format-bytes.ts'
import { addressSpaceError } from './address-space.ts'

const PAGE = 65_536
/** WebAssembly's addresses have 32 bits. */
export const MAX_MEMORY_BYTES = 65_536 * PAGE
const ALIGNMENT = 64

interface Hole {
  start: number
  end: number
}

export interface Arena {
  /** A WebAssembly.Memory, by what is used of it: Node's types do not know the name. */
  readonly memory: { readonly buffer: SharedArrayBuffer }
  readonly limitBytes: number
  /** Bytes handed out now. */
  usedBytes(): number
  /** The largest piece that the limit allows now. */
  roomBytes(): number
  /**
   * A piece of memory, 64-byte aligned, filled with zeros.
   * @param what    named in the error when it does not fit
   * @param advice  what to do about it
   * @returns       byte address
   */
  allocate(bytes: number, what: string, advice?: string): number
  free(address: number): void
}

/** @param firstFree  address where the kernels' own static data ends */
export function createArena(limitBytes: number, firstFree: number): Arena {
  const limit = Math.min(limitBytes, MAX_MEMORY_BYTES)
  let memory: WebAssembly.Memory
  try {
    memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_MEMORY_BYTES / PAGE, shared: true })
  } catch (cause) {
    throw addressSpaceError(cause)
  }
  let top = align(firstFree)
  // Above lies memory that was never handed out: it is zero, and filling gigabytes would hold up the main thread for seconds.
  let fresh = top
  const sizes = new Map<number, number>()
  let holes: Hole[] = []
  let used = 0

  function growTo(end: number, what: string, advice: string | undefined): void {
    const missing = end - memory.buffer.byteLength
    if (end > limit) throw tooMuch(what, advice, end, limit)
    if (missing <= 0) return
    try {
      memory.grow(Math.ceil(missing / PAGE))
    } catch (cause) {
      throw tooMuch(what, advice, end, limit, cause)
    }
  }

  return {
    memory,
    limitBytes: limit,
    usedBytes: () => used,
    roomBytes() {
      const above = Math.floor((limit - top) / ALIGNMENT) * ALIGNMENT
      return holes.reduce((largest, hole) => Math.max(largest, hole.end - hole.start), Math.max(above, 0))
    },
    allocate(bytes, what, advice) {
      const size = align(Math.max(bytes, ALIGNMENT))
      let best: Hole | undefined
      for (const hole of holes) {
        const room = hole.end - hole.start
        if (room >= size && (best === undefined || room < best.end - best.start)) best = hole
      }
      let address: number
      if (best) {
        address = best.start
        best.start += size
        holes = holes.filter((hole) => hole.start < hole.end)
        new Uint8Array(memory.buffer, address, size).fill(0)
      } else {
        growTo(top + size, what, advice)
        address = top
        top += size
        if (fresh > address) new Uint8Array(memory.buffer, address, Math.min(fresh, top) - address).fill(0)
        fresh = Math.max(fresh, top)
      }
      sizes.set(address, size)
      used += size
      return address
    },
    free(address) {
      const size = sizes.get(address)
      if (size === undefined) throw new Error(`arena: ${address} was not handed out`)
      sizes.delete(address)
      used -= size
      holes.push({ start: address, end: address + size })
      holes.sort((a, b) => a.start - b.start)
      const merged: Hole[] = []
      for (const hole of holes) {
        const last = merged[merged.length - 1]
        if (last && last.end === hole.start) last.end = hole.end
        else merged.push(hole)
      }
      const last = merged[merged.length - 1]
      if (last && last.end === top) {
        top = last.start
        merged.pop()
      }
      holes = merged
    },
  }
}

/**
 * Several pieces of memory, or none of them.
 * @throws RegraftError 'memory' of the first that cannot be had
 */
export function allocateAll<const T extends readonly number[]>(
  arena: Arena,
  bytes: T,
  what: string,
  advice?: string,
): { readonly [K in keyof T]: number } {
  const addresses: number[] = []
  try {
    for (const each of bytes) addresses.push(arena.allocate(each, what, advice))
  } catch (error) {
    for (const address of addresses) arena.free(address)
    throw error
  }
  return addresses as unknown as { readonly [K in keyof T]: number }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function tooMuch(
  what: string,
  advice: string | undefined,
  needed: number,
  limit: number,
  cause?: unknown,
): RegraftError {
  return new RegraftError(
    'memory',
    `${what} needs ${formatBytes(needed)} of memory; the limit is ${formatBytes(limit)}.\n${advice ?? 'Raise --max-memory, or lower --batch-size or --img-size.'}`,
    cause === undefined ? {} : { cause },
  )
}
