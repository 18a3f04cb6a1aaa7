import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { randomStream } from '../random.ts'
import type { Augmentation } from './augmentations/augmentation.ts'
import type { Outcome } from './bad-file.ts'
import { type Change, changePixels } from './change-pixels.ts'
import type { ContentDigest } from './content-digest.ts'
import { type KeptImages, placePixels, tryDecode } from './decode.ts'
import { decodesAtATime } from './decodes-at-a-time.ts'
import type { FrameChoice } from './frame.ts'
import { inOrder } from './in-order.ts'
import { type LoadStatistics, noLoadStatistics } from './load-statistics.ts'
import type { Pixels } from './pixels.ts'
import { checkPreprocessing, type Preprocessing } from './preprocessing.ts'
import { randomErasing } from './random-erasing.ts'

/** A picture to load; without a label it gets -1. */
export interface Loadable {
  readonly path: string
  readonly file: string
  readonly label?: number
  /** Contents that the file had when somebody looked; other ones make it a bad picture. */
  readonly contents?: ContentDigest | null
  /** The picture itself, upright RGB, where it was decoded before: then no file is read, and what that says of it is only a name. */
  readonly pixels?: Pixels
}

/** A picture that was left out. */
export interface BadImage {
  /** Into the samples. */
  readonly index: number
  readonly path: string
  /** In plain words: 'is empty', 'does not exist'. */
  readonly reason: string
}

/** Pictures ready for a network. */
export interface Batch {
  readonly count: number
  /** Into the samples. */
  readonly indices: readonly number[]
  /** u8[count, height, width, 3] */
  readonly bytes: Uint8Array
  /** i32[count] */
  readonly labels: Int32Array
}

/** What to load, and how. */
export interface LoadOptions {
  readonly samples: readonly Loadable[]
  /** Which samples, and in which order; all in theirs when left out. */
  readonly order?: ArrayLike<number> | undefined
  readonly preprocessing: Preprocessing
  readonly batchSize: number
  /** A batch also ends where a multiple of so many pictures is full. */
  readonly endEvery?: number | undefined
  /** Changes each picture by draws from (seed, epoch, index of the sample). */
  readonly augment?: Augmentation | undefined
  /** Probability with which a box of a picture is erased after that, by draws with the same address; 0 when left out. */
  readonly erase?: number | undefined
  readonly seed?: number | undefined
  readonly epoch?: number | undefined
  /** Pictures decoded at a time; one more than there are cores when left out. Changes no result. */
  readonly concurrency?: number | undefined
  /** Memory for pictures decoded ahead; two batches, but at most 256 MiB, when left out. Changes no result. */
  readonly prefetchBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** A bad picture is left out and the next one takes its place (skip, the default), or ends the loading (stop). */
  readonly onError?: 'skip' | 'stop' | undefined
  /** Hears of each bad picture once, in the order of the pictures. */
  readonly onBad?: ((image: BadImage) => void) | undefined
  /** Samples known to be bad, left out unheard; newly found ones are added. Keep it from epoch to epoch. */
  readonly knownBad?: Set<number> | undefined
  /** Encoded pictures kept from epoch to epoch. Changes no result. */
  readonly kept?: KeptImages | undefined
  /** Added to while loading. */
  readonly statistics?: LoadStatistics | undefined
}

/**
 * Batches of decoded pictures in exactly the order asked for; only the last, and those before an `endEvery`, may be smaller. While one batch is used the
 * next pictures are decoded. What is in a batch depends on the list of good pictures alone, never on timing.
 * @throws 'data' for a bad picture with onError: 'stop'; 'interrupted' when the signal fires
 */
export async function* loadBatches(options: LoadOptions): AsyncGenerator<Batch, void, undefined> {
  const { samples, preprocessing, batchSize, signal } = options
  checkPreprocessing(preprocessing)
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) throw new RangeError(`A batch of ${batchSize} is not possible.`)
  const { endEvery = batchSize } = options
  const { knownBad = new Set<number>(), statistics = noLoadStatistics() } = options
  const imageBytes = preprocessing.width * preprocessing.height * 3
  const concurrency = Math.max(1, options.concurrency ?? decodesAtATime())
  const prefetchBytes = options.prefetchBytes ?? Math.min(256 * 2 ** 20, 2 * batchSize * imageBytes)
  const ahead = Math.max(concurrency, Math.floor(prefetchBytes / imageBytes))
  const wanted = Array.from(options.order ?? samples.keys()).filter((index) => !knownBad.has(index))
  const decode = timed(statistics, (position) => erasedSample(options, wanted[position] ?? 0))

  let batch = emptyBatch(Math.min(batchSize, wanted.length), imageBytes)
  let position = 0
  let given = 0
  let waitingSince = performance.now()
  for await (const outcome of inOrder(wanted.length, decode, { concurrency, ahead, signal })) {
    const index = wanted[position++] ?? 0
    if (outcome.value === undefined) {
      leaveOut(options, index, outcome, knownBad)
      statistics.bad += 1
      continue
    }
    statistics.images += 1
    batch.bytes.set(outcome.value, batch.indices.length * imageBytes)
    batch.labels[batch.indices.length] = samples[index]?.label ?? -1
    batch.indices.push(index)
    if (batch.indices.length === batchSize || (given + batch.indices.length) % endEvery === 0) {
      given += batch.indices.length
      statistics.waitMilliseconds += performance.now() - waitingSince
      yield finished(batch, imageBytes)
      batch = emptyBatch(Math.min(batchSize, wanted.length - position), imageBytes)
      waitingSince = performance.now()
    }
  }
  statistics.waitMilliseconds += performance.now() - waitingSince
  if (batch.indices.length > 0) yield finished(batch, imageBytes)
}

interface OpenBatch {
  readonly indices: number[]
  readonly bytes: Uint8Array
  readonly labels: Int32Array
}

function emptyBatch(capacity: number, imageBytes: number): OpenBatch {
  return { indices: [], bytes: new Uint8Array(capacity * imageBytes), labels: new Int32Array(capacity) }
}

function finished({ indices, bytes, labels }: OpenBatch, imageBytes: number): Batch {
  const count = indices.length
  return { count, indices, bytes: bytes.subarray(0, count * imageBytes), labels: labels.subarray(0, count) }
}

async function erasedSample(options: LoadOptions, index: number): Promise<Outcome<Uint8Array>> {
  const outcome = await decodeSample(options, index)
  const { preprocessing, erase = 0, seed = 0, epoch = 0 } = options
  if (erase === 0 || outcome.value === undefined) return outcome
  const random = randomStream({ seed, epoch, sample: index, purpose: 'random erasing' })
  return { ...outcome, value: randomErasing(outcome.value, preprocessing, erase, random) }
}

async function decodeSample(options: LoadOptions, index: number): Promise<Outcome<Uint8Array>> {
  const { samples, preprocessing, augment, seed = 0, epoch = 0 } = options
  const sample = samples[index]
  if (sample === undefined) throw new RangeError(`The order names sample ${index}, but there are ${samples.length}.`)
  const decode = async (choose?: FrameChoice): Promise<Outcome<Uint8Array>> =>
    sample.pixels
      ? { value: await placePixels(sample.pixels, preprocessing, choose) }
      : await tryDecode(sample.file, preprocessing, choose, options.kept, sample.contents ?? undefined)
  if (augment === undefined) return await decode()
  const { width, height, mean } = preprocessing
  const draws = (purpose: string) => randomStream({ seed, epoch, sample: index, purpose })
  let changes: readonly Change[] = []
  const choose: FrameChoice = (imageWidth, imageHeight) => {
    const plan = augment.plan({ imageWidth, imageHeight, width, height, mean }, draws)
    changes = plan.changes
    return plan.frame
  }
  const decoded = await decode(choose)
  if (decoded.value === undefined || changes.length === 0) return decoded
  return { value: await changePixels(decoded.value, width, height, changes) }
}

function leaveOut(
  options: LoadOptions,
  index: number,
  bad: { reason: string; cause?: unknown },
  knownBad: Set<number>,
): void {
  const { samples, onError, onBad } = options
  const { path = '', file } = samples[index] ?? {}
  if (onError === 'stop') {
    throw new RegraftError('data', `${inertName(path)} ${bad.reason}.`, { file, cause: bad.cause })
  }
  if (knownBad.has(index)) return
  knownBad.add(index)
  onBad?.({ index, path, reason: bad.reason })
}

type Decode = (position: number) => Promise<Outcome<Uint8Array>>

/** Counts the time of decoding: of each picture, and of all together without counting twice. */
function timed(statistics: LoadStatistics, decode: Decode): Decode {
  let active = 0
  let busySince = 0
  return async (position) => {
    const start = performance.now()
    if (active++ === 0) busySince = start
    try {
      return await decode(position)
    } finally {
      const end = performance.now()
      statistics.decodeMilliseconds += end - start
      if (--active === 0) statistics.busyMilliseconds += end - busySince
    }
  }
}
