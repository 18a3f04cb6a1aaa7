// A limit of the address space (ulimit -v, some containers) ends a worker of V8 without an error that could be caught, so it is
// looked at before.
import { readFileSync } from 'node:fs'
import { RegraftError } from '../errors.ts'

/** Addresses that V8 reserves for a worker's code and heap, rounded up; mostly untouched. */
const BYTES_PER_WORKER = 2 ** 30

/** Bytes of address space that this process may still reserve; Infinity where there is no limit or none can be read. */
export function addressSpaceLeft(): number {
  try {
    const limit = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    const used = /^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return limit === undefined || used === undefined ? Number.POSITIVE_INFINITY : Number(limit) - Number(used) * 1024
  } catch {
    // Not Linux.
    return Number.POSITIVE_INFINITY
  }
}

/** @throws RegraftError 'memory' when the workers would not fit */
export function checkAddressSpace(workers: number): void {
  if (addressSpaceLeft() < (workers + 1) * BYTES_PER_WORKER) throw addressSpaceError()
}

/** What to do about a limit, with the error of whoever met it first. */
export function addressSpaceError(cause?: unknown): RegraftError {
  return new RegraftError(
    'memory',
    'This process may not reserve the address space that WebAssembly and its workers need (some 10 GiB, mostly untouched).\n' +
      'Raise the limit (ulimit -v unlimited) or run outside the restricted container.',
    cause === undefined ? {} : { cause },
  )
}
