// The relaxed build in 256-bit registers. An experimental pass of V8 makes one 256-bit operation of two on neighbouring vectors. It is used
// only where it proves, before anything is computed with it, that it gives the same bits and is faster.
import { RegraftError } from '../errors.ts'
import type { Arena } from './arena.ts'
import { type LoadedKernels, loadKernels, loadWideKernels } from './load.ts'
import { type KernelTable, type SelfCheckResult, selfCheck } from './self-check.ts'
import { v8Major } from './v8-flags.ts'

/** The least that wide kernels must gain: 1.9 to 2.1 are usual, 1 where nothing is fused. */
const LEAST_SPEEDUP = 1.3

/** Versions of V8 whose flags are known: those of Node 24 (13.6) to 26 (14.6). */
const KNOWN_V8 = [13, 14]

/**
 * V8 asks whether it may fuse when its optimising compiler takes a function, which else happens at any time later, so all are compiled
 * by it at once. Without inlining: it goes by counts of calls, which such functions do not have, and V8 14 dies for want of them.
 */
const AT_ONCE = ['no-liftoff', 'no-wasm-lazy-compilation', 'no-wasm-inlining']
const FUSE = 'experimental-wasm-revectorize'

/** Kernels, and whether they use 256-bit registers and why. */
export interface ChosenKernels extends LoadedKernels {
  readonly simdNote: string
}

/** The kernels that `widest` measures against and falls back on. @throws RegraftError 'usage' where there is no relaxed SIMD */
export function loadNarrow(allowFlags: boolean): LoadedKernels {
  return loadKernels('relaxed', allowFlags, obstacle(allowFlags) === undefined ? AT_ONCE : [])
}

/** What a check found is true for the process. */
let verdict: Verdict | undefined

/**
 * Kernels for 256-bit registers where this host has them and they prove themselves, else those given. The choice decides no bit of a
 * result, so it may depend on time.
 * @param arena       lends 2 MiB for the check
 * @param allowFlags  permits setting V8's flags for a moment; they concern the whole process
 */
export function widest(narrow: LoadedKernels, arena: Arena, allowFlags: boolean): ChosenKernels {
  const reason = obstacle(allowFlags)
  if (reason !== undefined) return { ...narrow, simdNote: `128-bit vectors: ${reason}` }
  const wide = loadWideKernels([...AT_ONCE, FUSE])
  try {
    verdict ??= judge(selfCheck(instantiate(narrow, arena), instantiate(wide, arena), arena))
  } catch (error) {
    if (!(error instanceof RegraftError)) throw error
    return { ...narrow, simdNote: '128-bit vectors: the memory limit leaves no room for the check of 256-bit ones' }
  }
  return { ...(verdict.passed ? wide : narrow), simdNote: verdict.note }
}

interface Verdict {
  readonly passed: boolean
  readonly note: string
}

/** Whether a check lets wide kernels pass, in words for people. */
export function judge({ differs, speedup }: SelfCheckResult): Verdict {
  if (differs !== undefined) {
    return { passed: false, note: `128-bit vectors: fused to 256 bits, ${differs} gives other results on this machine` }
  }
  const times = speedup.toFixed(1)
  return speedup >= LEAST_SPEEDUP
    ? { passed: true, note: `256-bit vectors: ${times} times as fast as 128-bit ones` }
    : { passed: false, note: `128-bit vectors: fused to 256 bits they are only ${times} times as fast on this machine` }
}

/** Why this host is not even asked to fuse vectors. */
function obstacle(allowFlags: boolean): string | undefined {
  if (process.arch !== 'x64') return `256-bit ones are known on x64 alone, not on ${process.arch}`
  if (!KNOWN_V8.includes(v8Major)) return `Node 24 to 26 can fuse them to 256 bits, not ${process.versions.node}`
  return allowFlags ? undefined : '256-bit ones need V8’s flags, createEngine({ allowV8Flags: true })'
}

function instantiate(kernels: LoadedKernels, { memory }: Arena): KernelTable {
  const abort = (): never => {
    throw new Error('kernel aborted')
  }
  // Every exported function takes numbers and returns nothing: the calling convention of assembly/README.md.
  return new WebAssembly.Instance(kernels.module, { env: { memory, abort } }).exports as KernelTable
}
