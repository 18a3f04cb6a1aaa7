// What a program is made of: a flat list of kernel calls with fixed arguments, walked alike by every worker.
import type { instantiate } from '../../wasm/kernels.relaxed.js'

/** The exports of the compiled kernels, as the AssemblyScript compiler declares them. */
type KernelExports = Omit<Awaited<ReturnType<typeof instantiate>>, 'memory'>
export type KernelName = keyof KernelExports

/** A number that is known before the run, or that grows with the pictures in the batch: ceil(perImage·images / block). */
export type Count = number | { readonly perImage: number; readonly blockRows?: number }

/** The calling worker's own 1 MiB of scratch memory. */
export const SCRATCH = 'scratch'
export const SCRATCH_BYTES = 1 << 20

/**
 * Memory of the calling worker for what the first call of a step in pieces writes: the units of one piece alone. As an address it
 * is where the first unit of all would lie.
 */
export const STRIP = 'strip'

/** `P` is how a place in memory is written: an address once the layout is known, a symbolic place before. */
export type Argument<P> = Count | P | typeof SCRATCH | typeof STRIP

type WithoutRange<T extends unknown[]> = T extends [...infer Head, unknown, unknown] ? Head : never

/** The arguments of a kernel without its range, each a number, a count, a place or the scratch memory. */
export type ArgumentsOf<K extends KernelName, P> = EachArgument<WithoutRange<Parameters<KernelExports[K]>>, P>
type EachArgument<T extends unknown[], P> = { [I in keyof T]: Argument<P> }

/** One kernel call. Its `units` are spread over the workers in multiples of `grain`. */
export interface Call<P = number> {
  readonly kernel: KernelName
  readonly args: readonly Argument<P>[]
  readonly units: Count
  readonly grain: number
}

/**
 * Calls between two barriers. Without `pieces` they know nothing of each other, and each is spread over the workers by itself;
 * with pieces they follow each other.
 */
export interface Step<P = number> {
  readonly calls: readonly Call<P>[]
  readonly pieces?: Pieces
  readonly strip?: Strip<P>
}

/** The memory that `STRIP` stands for in a step. */
export interface Strip<P = number> {
  /** Where that of the first worker lies, and the bytes of each. */
  readonly place: P
  readonly bytes: number
  /** Bytes of a unit of the step's first call. */
  readonly unitBytes: number
}

/**
 * How the calls of a step go through a batch together: piece after piece, all calls of a piece in turn, so that what one of
 * them writes is still in the cache when the next one reads it. Each worker has pieces of its own.
 */
export interface Pieces {
  /** Pictures after which the pieces repeat. */
  readonly images: number
  /** For each call where its units begin and end in each piece, counted from the first picture of such a period. */
  readonly ranges: readonly { readonly from: readonly number[]; readonly to: readonly number[] }[]
  /** Periods to take at once where a period is one piece. */
  readonly together: number
  /** Whether a piece reads what the piece before it wrote, so that all pieces of a period belong to one worker. */
  readonly joined: boolean
}

/** Type-checked construction of a call: the argument list must fit the kernel. */
export function call<K extends KernelName, P>(
  kernel: K,
  args: ArgumentsOf<K, P> & readonly Argument<P>[],
  units: Count,
  grain = 1,
): Call<P> {
  return { kernel, args, units, grain }
}

/** The value of a count for a batch of `images`. */
export function countFor(count: Count, images: number): number {
  return typeof count === 'number' ? count : Math.ceil((count.perImage * images) / (count.blockRows ?? 1))
}
