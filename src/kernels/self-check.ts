// Two compilations of the kernels on the same numbers: do they give the same bits, and is the second one faster?
import type { Arena } from './arena.ts'
import { type Call, call } from './program.ts'
import { type Places, selfCheckCalls } from './self-check-calls.ts'

/** The kernels of one instance, by their names. */
export type KernelTable = Readonly<Record<string, (...values: number[]) => void>>

export interface SelfCheckResult {
  /** A kernel whose results differ in any bit. */
  readonly differs?: string
  /** How many times faster the candidate multiplies matrices; not measured when bits differ. */
  readonly speedup: number
}

const SCRATCH_BYTES = 1 << 20
/** What the calls take, and some. */
const WORKSPACE_BYTES = 832 * 1024

/** Rows, columns and depth of the product that is timed: its operands stay in the caches. About half a millisecond at 50 GFLOP/s. */
const TIMED = [132, 128, 128] as const
const TIMED_CALLS = 6
/** Pairs of measurements, each followed by the other build's: the best of each counts, so that whoever else computes disturbs little. */
const ROUNDS = 12

/**
 * Compares a candidate with a reference; takes some 30 ms and, for the while, 2 MiB of the arena.
 * @throws RegraftError 'memory' when the arena has no room
 */
export function selfCheck(reference: KernelTable, candidate: KernelTable, arena: Arena): SelfCheckResult {
  const base = arena.allocate(WORKSPACE_BYTES + SCRATCH_BYTES, 'The self-check of the kernels')
  try {
    const scratch = base + WORKSPACE_BYTES
    const workspace = Buffer.from(arena.memory.buffer, base, WORKSPACE_BYTES)
    fillWithNumbers(new Float32Array(arena.memory.buffer, base, WORKSPACE_BYTES / 4))
    const calls = selfCheckCalls(placesIn(arena, base))
    const before = Buffer.from(workspace)
    for (const one of calls) {
      run(reference, one, scratch)
      const expected = Buffer.from(workspace)
      before.copy(workspace)
      run(candidate, one, scratch)
      if (!workspace.equals(expected)) return { differs: one.kernel, speedup: Number.NaN }
      before.copy(workspace)
    }
    return { speedup: measure(reference, candidate, base) }
  } finally {
    arena.free(base)
  }
}

/** From -1 to 1, without a pattern. */
function fillWithNumbers(values: Float32Array): void {
  for (let index = 0; index < values.length; index++) values[index] = (Math.imul(index + 1, 0x9e3779b1) >> 8) / 2 ** 23
}

function placesIn(arena: Arena, base: number): Places {
  let free = base
  const take = (count: number): number => {
    const address = free
    free += Math.ceil(count / 16) * 64
    if (free > base + WORKSPACE_BYTES) throw new Error('the workspace of the self-check is too small')
    return address
  }
  return {
    floats: take,
    geometry(values) {
      const address = take(values.length)
      new Int32Array(arena.memory.buffer, address, values.length).set(values)
      return address
    },
  }
}

function run(kernels: KernelTable, { kernel, args, units }: Call, scratch: number): void {
  const values = args.map((argument) => (argument === 'scratch' ? scratch : Number(argument)))
  kernels[kernel]?.(...values, 0, Number(units))
}

function measure(reference: KernelTable, candidate: KernelTable, base: number): number {
  const [rows, columns, depth] = TIMED
  const packed = base + rows * depth * 4
  const c = packed + depth * columns * 4
  const shape = [columns, columns, depth] as const
  const product = call<'matmul', number>('matmul', [base, depth, packed, c, ...shape, 0, 0, 0, 0], rows)
  const milliseconds = (kernels: KernelTable): number => {
    const startedAt = performance.now()
    for (let repeat = 0; repeat < TIMED_CALLS; repeat++) run(kernels, product, 0)
    return performance.now() - startedAt
  }
  let slow = Number.POSITIVE_INFINITY
  let fast = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    slow = Math.min(slow, milliseconds(reference))
    fast = Math.min(fast, milliseconds(candidate))
  }
  return slow / fast
}
