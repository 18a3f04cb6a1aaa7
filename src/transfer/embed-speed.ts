// What the cores allow: the two halves of embedding, each measured by itself.
import { availableParallelism } from 'node:os'
import type { InputImage } from '../data/expand-inputs.ts'
import { pictureBatches } from '../data/picture-batches.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Runner } from '../runtime/runner.ts'

/** One half of the work, done alone. */
export interface HalfSpeed {
  readonly imagesPerSecond: number
  /** Of a core, for each picture. */
  readonly cpuMilliseconds: number
}

export interface EmbedSpeed {
  readonly cores: number
  /** Reading, decoding, resizing. */
  readonly decoding: HalfSpeed
  /** The network. */
  readonly computing: HalfSpeed
  /** Images a second if all cores did nothing else all the time. */
  readonly allowed: number
}

export interface SpeedOptions {
  readonly preprocessing: Preprocessing
  readonly signal?: AbortSignal | undefined
}

/** Pictures that are decoded once more. */
export const SPEED_SAMPLE = 128
/** The network computes at least so long. */
const SECONDS = 2

/**
 * @param runner  prepared; its input is overwritten
 * @param sample  pictures that could be read
 */
export async function measureSpeed(
  runner: Runner,
  sample: readonly InputImage[],
  options: SpeedOptions,
): Promise<EmbedSpeed | undefined> {
  if (sample.length === 0) return undefined
  const { signal } = options
  const decoding = await halfSpeed(async () => {
    let images = 0
    for await (const { count, bytes } of pictureBatches(each(sample), { ...options, batchSize: runner.images })) {
      images += count
      runner.writeBytes(bytes)
    }
    return images
  })
  const computing = await halfSpeed(async () => {
    const startedAt = performance.now()
    let images = 0
    while (performance.now() - startedAt < SECONDS * 1000) {
      await runner.run(runner.images, { signal })
      images += runner.images
    }
    return images
  })
  const cores = availableParallelism()
  const cpu = decoding.cpuMilliseconds + computing.cpuMilliseconds
  return { cores, decoding, computing, allowed: (1000 * cores) / cpu }
}

/** @param work  returns how many pictures it did */
async function halfSpeed(work: () => Promise<number>): Promise<HalfSpeed> {
  const before = process.cpuUsage()
  const startedAt = performance.now()
  const images = await work()
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  return { imagesPerSecond: images / seconds, cpuMilliseconds: (user + system) / 1000 / images }
}

async function* each<T>(things: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* things
}
