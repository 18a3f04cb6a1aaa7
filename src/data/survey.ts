import { type ImageHeader, tryInspect } from './decode.ts'
import { decodesAtATime } from './decodes-at-a-time.ts'
import { inOrder } from './in-order.ts'
import { hashPreprocessing, type PictureHash, pictureHash } from './picture-hash.ts'

/** What one file is, or why it is no picture that can be used. */
export type Surveyed =
  | { readonly header: ImageHeader; readonly hash: PictureHash | undefined; readonly reason?: undefined }
  | { readonly header?: undefined; readonly reason: string }

/**
 * Decodes every file small and keeps what says something about it, in the order of the files.
 * @throws RegraftError 'interrupted' when the signal fires
 */
export async function* survey(
  files: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<Surveyed, void, undefined> {
  const concurrency = decodesAtATime()
  yield* inOrder(files.length, (position) => look(files[position] ?? ''), {
    concurrency,
    ahead: 4 * concurrency,
    signal,
  })
}

async function look(file: string): Promise<Surveyed> {
  const { value, reason } = await tryInspect(file, () => hashPreprocessing)
  return value === undefined ? { reason } : { header: value.header, hash: pictureHash(value.bytes) }
}
