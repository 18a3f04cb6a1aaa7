// Feature vectors: each picture through the trunk once.

import { type LoadStatistics, noLoadStatistics } from '../data/load-statistics.ts'
import type { BadImage, Loadable } from '../data/loader.ts'
import { loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { layerNamed } from '../graph/graph.ts'
import { channelsOf } from '../ops/op.ts'
import type { Runner } from '../runtime/runner.ts'
import type { Phase } from '../train/events.ts'
import type { WorkOptions } from './options.ts'

export interface ImageOutputs {
  /** Into the samples; pictures that could not be read are missing. */
  readonly indices: readonly number[]
  /** [indices.length, width of the layer] */
  readonly values: Float32Array
  readonly width: number
}

export interface PassOptions extends Pick<WorkOptions, 'signal' | 'listener' | 'onError'> {
  readonly phase: Phase
  readonly preprocessing: Preprocessing
  /** The layer whose output is wanted. */
  readonly layer: string
  readonly onBad?: (image: BadImage) => void
  readonly knownBad?: Set<number>
  /** Receives every batch of bytes, for those who want to keep them. */
  readonly onBytes?: (bytes: Uint8Array, indices: readonly number[]) => void
  readonly timing?: Timing
}

/** Where the time went, in milliseconds of waiting. */
export interface Timing {
  readonly load: LoadStatistics
  computeMs: number
}

export function newTiming(): Timing {
  return { load: noLoadStatistics(), computeMs: 0 }
}

/** Runs every picture through a prepared runner; the next ones are decoded meanwhile. */
export async function imageOutputs(
  runner: Runner,
  samples: readonly Loadable[],
  options: PassOptions,
): Promise<ImageOutputs> {
  const { listener, phase, layer, timing } = options
  const width = channelsOf(layerNamed(runner.graph, layer).shape)
  const indices: number[] = []
  let values = new Float32Array(samples.length * width)
  listener?.({ type: 'phase', phase, total: samples.length, unit: 'images' })
  let done = 0
  const batches = loadBatches({
    samples,
    preprocessing: options.preprocessing,
    batchSize: runner.images,
    signal: options.signal,
    onError: options.onError,
    knownBad: options.knownBad,
    statistics: timing?.load,
    onBad(image) {
      done++
      options.onBad?.(image)
    },
  })
  for await (const batch of batches) {
    options.onBytes?.(batch.bytes, batch.indices)
    runner.writeBytes(batch.bytes)
    const startedAt = performance.now()
    await runner.run(batch.count, { signal: options.signal })
    if (timing) timing.computeMs += performance.now() - startedAt
    values.set(runner.read(layer, batch.count), indices.length * width)
    indices.push(...batch.indices)
    done += batch.count
    listener?.({ type: 'progress', phase, done, total: samples.length })
  }
  listener?.({ type: 'phaseEnd', phase })
  values = values.subarray(0, indices.length * width)
  return { indices, values, width }
}
