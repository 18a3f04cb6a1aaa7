// Finds out which build of the kernels this host can run, and compiles it.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RegraftError } from '../errors.ts'
import { v8Major, withV8Flags } from './v8-flags.ts'

/** `baseline`: multiply, then add. `relaxed`: fused multiply-add. Their results differ in the last bits. */
export type KernelBuild = 'baseline' | 'relaxed'

/** What may be asked for: a build; the best of this host; or relaxed in 256-bit registers, where the host can. */
export type Simd = 'auto' | KernelBuild | '256'

export interface LoadedKernels {
  readonly build: KernelBuild
  /** Width of the registers that the kernels were made for. Bits do not depend on it. */
  readonly vectorBits: 128 | 256
  /** A WebAssembly.Module; Node's types do not know the name. */
  readonly module: object
  /** First 16 hex digits of the SHA-256 of the compiled kernels: results are reproducible within one digest. */
  readonly digest: string
}

/** One compiled file. All that begin with `relaxed` give the same bits; which is fast depends on the host. */
type KernelFile = 'baseline' | 'relaxed' | 'relaxed-6x8' | 'relaxed-256'

// (module (func (param v128 v128 v128) (result v128) local.get 0 … f32x4.relaxed_madd))
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
])

const nodeMajor = Number(process.versions.node.split('.')[0])

/** On Node 20 relaxed SIMD exists behind a flag that later versions do not know. */
const relaxedFlags = nodeMajor === 20 ? ['experimental-wasm-relaxed-simd'] : []

/**
 * Before V8 13 a tile of 6x8 does not fit the registers, as V8 orders its instructions: 27 in place of 53 GFLOP/s on Node 20;
 * since then it is the fastest, 57 in place of 53 (512x512x512 on a Zen 4).
 */
const relaxedFile: KernelFile = v8Major >= 13 ? 'relaxed-6x8' : 'relaxed'

/** Whether the relaxed build runs here; `allowFlag` permits the V8 flag that Node 20 needs. */
export function relaxedAvailable(allowFlag: boolean): boolean {
  return withV8Flags(allowFlag ? relaxedFlags : [], () => WebAssembly.validate(RELAXED_PROBE))
}

const loaded = new Map<string, LoadedKernels>()

/**
 * Compiles a build of the kernels.
 * @param simd       'auto' takes the relaxed build where the host validates it
 * @param allowFlag  permits setting V8's flag for relaxed SIMD for a moment on Node 20; it concerns the whole process
 * @param flags      V8's flags to compile under; not asked of a build that was compiled before
 */
export function loadKernels(
  simd: 'auto' | KernelBuild,
  allowFlag: boolean,
  flags: readonly string[] = [],
): LoadedKernels {
  const build = simd === 'auto' ? (relaxedAvailable(allowFlag) ? 'relaxed' : 'baseline') : simd
  if (build === 'relaxed' && !relaxedAvailable(allowFlag)) {
    throw new RegraftError(
      'usage',
      `The relaxed SIMD build cannot run on Node ${process.versions.node}${nodeMajor === 20 && !allowFlag ? ' without V8’s flag' : ''}.\n` +
        `Use --simd baseline${nodeMajor === 20 && !allowFlag ? ', or allow the flag: createEngine({ allowV8Flags: true })' : ''}.`,
    )
  }
  return build === 'baseline'
    ? loadFile('baseline', build, 128, flags)
    : loadFile(relaxedFile, build, 128, [...relaxedFlags, ...flags])
}

/** Compiles the relaxed build for 256-bit registers: fast only under the flags that let V8 use them. */
export function loadWideKernels(flags: readonly string[]): LoadedKernels {
  return loadFile('relaxed-256', 'relaxed', 256, flags)
}

function loadFile(
  file: KernelFile,
  build: KernelBuild,
  vectorBits: 128 | 256,
  flags: readonly string[],
): LoadedKernels {
  const known = loaded.get(file)
  if (known) return known
  const bytes = readKernels(file)
  const module = withV8Flags(flags, () => new WebAssembly.Module(bytes))
  // All files of a build give the same bits, so a run that began under one goes on under another: they have one digest.
  const digest = createHash('sha256').update(readKernels(build)).digest('hex').slice(0, 16)
  const kernels = { build, vectorBits, module, digest }
  loaded.set(file, kernels)
  return kernels
}

function readKernels(file: KernelFile): Buffer<ArrayBuffer> {
  const url = new URL(`../../wasm/kernels.${file}.wasm`, import.meta.url)
  try {
    return readFileSync(url)
  } catch (cause) {
    throw new RegraftError(
      'usage',
      `The compiled kernels are missing (${url.pathname}). Build them: npm run build:kernels`,
      { cause },
    )
  }
}
