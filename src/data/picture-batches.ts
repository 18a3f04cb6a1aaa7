import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Outcome } from './bad-file.ts'
import { tryDecode } from './decode.ts'
import { decodesAtATime } from './decodes-at-a-time.ts'
import type { InputImage } from './expand-inputs.ts'
import { inOrderStream } from './in-order-stream.ts'
import { checkPreprocessing, type Preprocessing } from './preprocessing.ts'

/** An input and what became of it. */
export interface PictureRow {
  readonly image: InputImage
  /** Its place among the pictures of the batch; undefined when it could not be read. */
  readonly slot: number | undefined
  /** Why it could not be read. */
  readonly error: string | undefined
}

/** Consecutive inputs, those that could not be read among them. */
export interface PictureBatch {
  readonly rows: readonly PictureRow[]
  /** Pictures that could be read. */
  readonly count: number
  /** u8[count, height, width, 3] */
  readonly bytes: Uint8Array
}

export interface PictureBatchOptions {
  readonly preprocessing: Preprocessing
  readonly batchSize: number
  /** Pictures decoded at a time; one more than there are cores when left out. Changes no result. */
  readonly concurrency?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** A bad picture becomes a row with an error (skip, the default), or ends the work (stop). */
  readonly onError?: 'skip' | 'stop' | undefined
}

/** Rows of failures that are collected before they are handed on without a full batch. */
const rowsPerPicture = 4

/**
 * Decodes inputs as they come, in their order, in batches. However many there are, a few batches are kept in memory.
 * @throws RegraftError 'data' for a bad picture with onError: 'stop'; 'interrupted' when the signal fires
 */
export async function* pictureBatches(
  images: AsyncIterable<InputImage>,
  { preprocessing, batchSize, signal, onError, concurrency = decodesAtATime() }: PictureBatchOptions,
): AsyncGenerator<PictureBatch, void, undefined> {
  checkPreprocessing(preprocessing)
  const imageBytes = preprocessing.width * preprocessing.height * 3
  const ahead = Math.max(concurrency, Math.floor(Math.min(256 * 2 ** 20, 2 * batchSize * imageBytes) / imageBytes))
  const decode = async (image: InputImage): Promise<{ image: InputImage; outcome: Outcome<Uint8Array> }> => ({
    image,
    outcome: image.error === undefined ? await tryDecode(image.file, preprocessing) : { reason: image.error },
  })
  let rows: PictureRow[] = []
  let bytes = new Uint8Array(batchSize * imageBytes)
  let count = 0
  for await (const { image, outcome } of inOrderStream(images, decode, { concurrency, ahead, signal })) {
    if (outcome.value === undefined) {
      if (onError === 'stop') {
        throw new RegraftError('data', `${inertName(image.path)} ${outcome.reason}.`, {
          file: image.file,
          cause: outcome.cause,
        })
      }
      rows.push({ image, slot: undefined, error: outcome.reason })
    } else {
      bytes.set(outcome.value, count * imageBytes)
      rows.push({ image, slot: count, error: undefined })
      count += 1
    }
    if (count === batchSize || rows.length >= rowsPerPicture * batchSize) {
      yield { rows, count, bytes: bytes.subarray(0, count * imageBytes) }
      rows = []
      bytes = new Uint8Array(batchSize * imageBytes)
      count = 0
    }
  }
  if (rows.length > 0) yield { rows, count, bytes: bytes.subarray(0, count * imageBytes) }
}
