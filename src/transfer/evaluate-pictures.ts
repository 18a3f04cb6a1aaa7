import { loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Sample } from '../data/sample.ts'
import type { Runner } from '../runtime/runner.ts'
import type { LabelledOutputs } from '../train/classification.ts'
import type { Timing } from './extract-features.ts'

/** Pictures that were decoded before, one after the other, with their labels. */
export interface DecodedPictures {
  readonly bytes: Uint8Array
  readonly labels: Int32Array
  readonly paths: readonly string[]
}

/** What a prepared runner makes of labelled pictures, decoded before or to be decoded now. */
export async function evaluatePictures(
  runner: Runner,
  pictures: DecodedPictures | readonly Sample[],
  preprocessing: Preprocessing,
  classes: number,
  { signal, timing }: { signal?: AbortSignal | undefined; timing?: Timing },
): Promise<LabelledOutputs> {
  const chunks: Float32Array[] = []
  const labels: number[] = []
  const paths: string[] = []
  const forward = async (bytes: Uint8Array, batchLabels: Int32Array, batchPaths: readonly string[]): Promise<void> => {
    runner.writeBytes(bytes)
    const startedAt = performance.now()
    await runner.run(batchLabels.length, { signal })
    if (timing) timing.computeMs += performance.now() - startedAt
    chunks.push(runner.read(runner.graph.output, batchLabels.length))
    labels.push(...batchLabels)
    paths.push(...batchPaths)
  }
  if ('bytes' in pictures) {
    const pictureBytes = preprocessing.width * preprocessing.height * 3
    for (let at = 0; at < pictures.labels.length; at += runner.images) {
      const end = Math.min(at + runner.images, pictures.labels.length)
      await forward(
        pictures.bytes.subarray(at * pictureBytes, end * pictureBytes),
        pictures.labels.subarray(at, end),
        pictures.paths.slice(at, end),
      )
    }
  } else {
    for await (const batch of loadBatches({
      samples: pictures,
      preprocessing,
      batchSize: runner.images,
      signal,
      statistics: timing?.load,
    })) {
      const batchPaths = batch.indices.map((index) => pictures[index]?.path ?? '')
      await forward(batch.bytes, batch.labels, batchPaths)
    }
  }
  const logits = new Float32Array(labels.length * classes)
  let at = 0
  for (const chunk of chunks) {
    logits.set(chunk, at)
    at += chunk.length
  }
  return { logits, labels: Int32Array.from(labels), paths }
}
