// Pictures as the boundary of the frozen part sees them: from the store, or decoded and computed, the next ones while the present are used.
import type { Augmentation } from '../data/augmentations/augmentation.ts'
import type { KeptImages } from '../data/decode.ts'
import { type BadImage, loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Sample } from '../data/sample.ts'
import { sha256 } from '../files/digest.ts'
import type { Runner } from '../runtime/runner.ts'
import type { ActivationStore } from './activation-store.ts'
import type { Timing } from './extract-features.ts'

/** Computes activations, and keeps those that will be wanted again. */
export interface ActivationSource {
  /** Inference up to the boundary, prepared. */
  readonly lower: Runner
  readonly store: ActivationStore
  readonly preprocessing: Preprocessing
  /** SHA-256 of a picture's file by its path; what has none is always computed. */
  readonly digests: ReadonlyMap<string, string>
  readonly kept?: KeptImages | undefined
  readonly timing: Timing
}

export interface ActivationRequest {
  readonly samples: readonly Sample[]
  /** Which samples, and in which order; all in theirs when left out. */
  readonly order?: ArrayLike<number> | undefined
  /** Pictures of a batch; called with the number of those given before. */
  readonly batchAt: (given: number) => number
  /** How pictures are changed; absent: the evaluation transform. */
  readonly variant?: Variant | undefined
  /** Whether they will be wanted again. */
  readonly keep: boolean
  readonly signal: AbortSignal | undefined
  readonly onError: 'skip' | 'stop'
  readonly onBad?: ((image: BadImage) => void) | undefined
  readonly knownBad: Set<number>
}

/** How pictures are changed, with the address of its draws. */
export interface Variant {
  readonly augmentation: Augmentation | undefined
  /** Probability of random erasing. */
  readonly erase: number
  readonly seed: number
  readonly epoch: number
}

export interface ActivationBatch {
  /** Into the samples. */
  readonly indices: readonly number[]
  /** [indices.length, …shape of the boundary] */
  readonly values: Float32Array
}

/** @throws as `loadBatches` */
export async function* activations(
  source: ActivationSource,
  request: ActivationRequest,
): AsyncGenerator<ActivationBatch, void, undefined> {
  const { store } = source
  const { samples, knownBad, batchAt } = request
  const keyOf = (index: number) => keyFor(source, request, index)
  const known = (index: number) => {
    const key = keyOf(index)
    return key !== undefined && store.has(key)
  }
  const order = Array.from(request.order ?? samples.keys()).filter((index) => !knownBad.has(index))
  const missing = new Set(order.filter((index) => !known(index)))
  const uses = new Map<number, number>()
  for (const index of order) uses.set(index, (uses.get(index) ?? 0) + 1)
  const coming = computed(source, request, [...missing])
  const ready = new Map<number, Float32Array>()

  /** The values of a picture; undefined when it turned out to be bad. */
  const valuesOf = async (index: number): Promise<Float32Array | undefined> => {
    if (missing.has(index)) {
      while (!ready.has(index) && !knownBad.has(index)) {
        const next = await coming.next()
        if (next.done) break
        for (const [at, values] of next.value) ready.set(at, values)
      }
      const values = ready.get(index)
      if (values === undefined && !knownBad.has(index)) throw new Error('a picture was neither computed nor bad')
      const left = (uses.get(index) ?? 1) - 1
      uses.set(index, left)
      if (left === 0) ready.delete(index)
      return values
    }
    const stored = await store.get(keyOf(index) ?? '')
    if (stored) return stored
    // It was there and is not any more.
    for await (const batch of computed(source, request, [index])) return batch.get(index)
    return undefined
  }

  try {
    let given = 0
    let indices: number[] = []
    let parts: Float32Array[] = []
    const batch = (): ActivationBatch => {
      const values = joined(parts)
      const finished = { indices, values }
      given += indices.length
      indices = []
      parts = []
      return finished
    }
    for (const index of order) {
      const values = await valuesOf(index)
      if (values === undefined) continue
      indices.push(index)
      parts.push(values)
      if (indices.length === batchAt(given)) yield batch()
    }
    if (indices.length > 0) yield batch()
  } finally {
    await coming.return()
  }
}

/** Decodes pictures, computes them, and keeps what is to be kept. */
async function* computed(
  { lower, store, preprocessing, kept, timing, digests }: ActivationSource,
  request: ActivationRequest,
  order: readonly number[],
): AsyncGenerator<Map<number, Float32Array>, void, undefined> {
  const { samples, variant, keep, signal, onError, onBad, knownBad } = request
  const { output } = lower.graph
  for await (const batch of loadBatches({
    samples,
    order,
    preprocessing,
    batchSize: lower.images,
    ...(variant && { augment: variant.augmentation, erase: variant.erase, seed: variant.seed, epoch: variant.epoch }),
    signal,
    onError,
    onBad,
    knownBad,
    kept,
    statistics: timing.load,
  })) {
    lower.writeBytes(batch.bytes)
    const startedAt = performance.now()
    await lower.run(batch.count, { signal })
    timing.computeMs += performance.now() - startedAt
    const all = lower.read(output, batch.count)
    const floats = all.length / batch.count
    const results = new Map<number, Float32Array>()
    for (const [row, index] of batch.indices.entries()) {
      const values = all.slice(row * floats, (row + 1) * floats)
      results.set(index, values)
      const key = keyFor({ digests }, request, index)
      if (keep && key !== undefined) await store.put(key, values)
    }
    yield results
  }
}

/** What the activations of a picture depend on besides what the whole store is for; undefined for a picture without a digest. */
function keyFor(
  { digests }: Pick<ActivationSource, 'digests'>,
  { samples, variant }: ActivationRequest,
  index: number,
): string | undefined {
  const digest = digests.get(samples[index]?.file ?? '')
  if (digest === undefined) return undefined
  return sha256(
    JSON.stringify([
      digest,
      variant ? [variant.augmentation?.key ?? null, variant.erase, variant.seed, variant.epoch, index] : null,
    ]),
  )
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    values.set(part, at)
    at += part.length
  }
  return values
}
