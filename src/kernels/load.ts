// Finds out which build of the kernels this host can run, and compiles it.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { RegraftError } from '../errors.ts'

/** `baseline`: multiply, then add. `relaxed`: fused multiply-add. Their results differ in the last bits. */
export type KernelBuild = 'baseline' | 'relaxed'

export interface LoadedKernels {
  readonly build: KernelBuild
  /** A WebAssembly.Module; Node's types do not know the name. */
  readonly module: object
  /** First 16 hex digits of the SHA-256 of the compiled kernels: results are reproducible within one digest. */
  readonly digest: string
}

// (module (func (param v128 v128 v128) (result v128) local.get 0 … f32x4.relaxed_madd))
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
])
const RELAXED_FLAG = 'experimental-wasm-relaxed-simd'

const nodeMajor = Number(process.versions.node.split('.')[0])

/**
 * On Node 20 relaxed SIMD exists behind a V8 flag that later versions do not know. The flag is set, the work done and the
 * flag set back without a pause in between, because it holds for the whole process.
 */
function withRelaxedFlag<T>(allowed: boolean, work: () => T): T {
  if (!allowed || nodeMajor !== 20) return work()
  setFlagsFromString(`--${RELAXED_FLAG}`)
  try {
    return work()
  } finally {
    setFlagsFromString(`--no-${RELAXED_FLAG}`)
  }
}

/** Whether the relaxed build runs here; `allowFlag` permits the V8 flag that Node 20 needs. */
export function relaxedAvailable(allowFlag: boolean): boolean {
  return withRelaxedFlag(allowFlag, () => WebAssembly.validate(RELAXED_PROBE))
}

const loaded = new Map<KernelBuild, LoadedKernels>()

/**
 * Compiles a build of the kernels.
 * @param simd       'auto' takes the relaxed build where the host validates it
 * @param allowFlag  permits setting V8's flag for relaxed SIMD for a moment on Node 20; it concerns the whole process
 */
export function loadKernels(simd: 'auto' | KernelBuild, allowFlag: boolean): LoadedKernels {
  const build = simd === 'auto' ? (relaxedAvailable(allowFlag) ? 'relaxed' : 'baseline') : simd
  if (build === 'relaxed' && !relaxedAvailable(allowFlag)) {
    throw new RegraftError(
      'usage',
      `The relaxed SIMD build cannot run on Node ${process.versions.node}${nodeMajor === 20 && !allowFlag ? ' without V8’s flag' : ''}.\n` +
        `Use --simd baseline${nodeMajor === 20 && !allowFlag ? ', or allow the flag: createEngine({ allowV8Flags: true })' : ''}.`,
    )
  }
  const known = loaded.get(build)
  if (known) return known
  const url = new URL(`../../wasm/kernels.${build}.wasm`, import.meta.url)
  let bytes: Buffer<ArrayBuffer>
  try {
    bytes = readFileSync(url)
  } catch (cause) {
    throw new RegraftError(
      'usage',
      `The compiled kernels are missing (${url.pathname}). Build them: npm run build:kernels`,
      { cause },
    )
  }
  const module = withRelaxedFlag(build === 'relaxed', () => new WebAssembly.Module(bytes))
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  const kernels = { build, module, digest }
  loaded.set(build, kernels)
  return kernels
}
