// The verb `predict`: pictures to labels, row by row, in the order of the inputs.
import { expandInputs, type InputImage } from '../data/expand-inputs.ts'
import { loadBatches } from '../data/loader.ts'
import { RegraftError } from '../errors.ts'
import { loadModel } from '../model/load.ts'
import { softmax } from '../train/classification.ts'
import type { Prediction, PredictOptions } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'

/** Rows known before decoding, by their position. */
function failed(image: InputImage, reason: string): Prediction {
  return { path: image.path, label: null, score: null, error: reason, top: [] }
}

/**
 * One row per input, also for those that cannot be read, in their order.
 * @param model   see INTERFACE: a path, a model that comes with the package, 'default'
 * @param inputs  files, folders, lists of paths
 * @throws RegraftError 'weights' for a model without a classifier; 'data' for a bad picture with `onError: 'stop'`
 */
export async function* predict(
  model: string,
  inputs: readonly string[],
  options: PredictOptions,
): AsyncGenerator<Prediction, void, undefined> {
  const { engine, signal, listener } = options
  const { model: loaded, remarks } = await loadModel(model, options)
  for (const message of remarks) listener?.({ type: 'note', message })
  if (loaded.head.kind === 'none') {
    throw new RegraftError(
      'weights',
      `${model} has no classifier: it gives features only. Train one (regraft train DATA --model ${model}), or take its features (regraft embed).`,
    )
  }
  const { labels, preprocessing } = loaded
  const topk = Math.max(1, Math.min(options.topk ?? 1, labels.length))
  const images = await expandInputs(inputs, signal)
  const readable = images.flatMap((image, position) =>
    image.error === undefined ? [{ path: image.path, file: image.file, position }] : [],
  )
  const session = await openSession(engine, loaded)
  const runner = await openInference(
    engine,
    session,
    Math.min(options.batchSize ?? INFERENCE_BATCH, Math.max(1, readable.length)),
    [],
    signal,
  )
  // Rows leave in input order: what is finished waits for what comes before it.
  const reasons = new Map<number, string>()
  for (const [position, image] of images.entries()) if (image.error !== undefined) reasons.set(position, image.error)
  let next = 0
  const failuresUpTo = function* (position: number): Generator<Prediction> {
    for (; next < position; next++) {
      const image = images[next]
      if (!image) continue
      const reason = reasons.get(next) ?? 'was not read'
      listener?.({ type: 'bad', path: image.path, reason })
      yield failed(image, reason)
    }
  }
  listener?.({ type: 'phase', phase: 'predict', total: images.length, unit: 'images' })
  try {
    for await (const batch of loadBatches({
      samples: readable,
      preprocessing,
      batchSize: runner.images,
      signal,
      onError: options.onError,
      onBad: ({ index, reason }) => reasons.set(readable[index]?.position ?? -1, reason),
    })) {
      runner.writeBytes(batch.bytes)
      await runner.run(batch.count, { signal })
      const logits = runner.read(session.graph.output, batch.count)
      for (const [row, index] of batch.indices.entries()) {
        const position = readable[index]?.position ?? 0
        yield* failuresUpTo(position)
        const probabilities = softmax(logits.subarray(row * labels.length, (row + 1) * labels.length))
        const top = topOf(probabilities, labels, topk)
        yield {
          path: images[position]?.path ?? '',
          label: top[0]?.label ?? null,
          score: top[0]?.score ?? null,
          error: null,
          top,
        }
        next = position + 1
      }
      listener?.({ type: 'progress', phase: 'predict', done: next, total: images.length })
    }
    yield* failuresUpTo(images.length)
    listener?.({ type: 'phaseEnd', phase: 'predict' })
  } finally {
    runner.close()
    session.close()
  }
}

/** The `count` most probable labels; among equals the first. */
export function topOf(probabilities: Float64Array, labels: readonly string[], count: number): Prediction['top'] {
  const order = [...probabilities.keys()].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
  return order
    .slice(0, count)
    .map((index) => ({ label: labels[index] ?? String(index), score: probabilities[index] ?? 0 }))
}
