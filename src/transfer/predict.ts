// The verb `predict`: pictures to labels, row by row, in the order of the inputs.
import { countInputs, inputImages } from '../data/expand-inputs.ts'
import { pictureBatches } from '../data/picture-batches.ts'
import { RegraftError } from '../errors.ts'
import { loadModel } from '../model/load.ts'
import { softmax } from '../train/classification.ts'
import { openReadout } from './neighbour-head.ts'
import { opened } from './opened.ts'
import type { Inputs, Prediction, PredictOptions } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { UNKNOWN } from './threshold.ts'

/**
 * One row per input, 'unknown' where the best label is less probable than the threshold, also for those that cannot be read, in their order, as the inputs come.
 * @param model   see INTERFACE: a path, a model that comes with the package, 'default'
 * @param inputs  files, folders, patterns, lists of paths, manifests
 * @throws RegraftError 'weights' for a model without a classifier; 'data' for a bad picture with `onError: 'stop'`
 */
export async function* predict(
  model: string,
  inputs: Inputs,
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
  const threshold = options.threshold ?? loaded.threshold ?? 0
  const topk = Math.max(1, Math.min(options.topk ?? 1, labels.length))
  const total = await totalOf(inputs, signal)
  const all = opened()
  const session = all.add(await openSession(engine, loaded))
  const batchSize = Math.min(options.batchSize ?? INFERENCE_BATCH, Math.max(1, total || Number.POSITIVE_INFINITY))
  let done = 0
  listener?.({ type: 'phase', phase: 'predict', total, unit: 'images' })
  try {
    const runner = all.add(await openInference(engine, session, batchSize, [], signal))
    const readout = all.add(await openReadout(engine, loaded))
    const images = inputImages(inputs, signal)
    const batches = pictureBatches(images, { preprocessing, batchSize, signal, onError: options.onError })
    for await (const { rows, count, bytes } of batches) {
      if (count > 0) {
        runner.writeBytes(bytes)
        await runner.run(count, { signal })
      }
      const logits = await readout.read(runner.read(session.graph.output, count), signal)
      for (const { image, slot, error } of rows) {
        done += 1
        if (slot === undefined) {
          const reason = error ?? 'was not read'
          listener?.({ type: 'bad', path: image.path, reason })
          yield { path: image.path, label: null, score: null, error: reason, top: [] }
          continue
        }
        const probabilities = softmax(logits.subarray(slot * labels.length, (slot + 1) * labels.length))
        const top = topOf(probabilities, labels, topk)
        const score = top[0]?.score ?? null
        const label = score !== null && score < threshold ? UNKNOWN : (top[0]?.label ?? null)
        yield { path: image.path, label, score, error: null, top }
      }
      listener?.({ type: 'progress', phase: 'predict', done, total })
    }
    listener?.({ type: 'phaseEnd', phase: 'predict' })
  } finally {
    all.close()
  }
}

/** How many rows there will be; 0 when only time will tell. */
export async function totalOf(inputs: Inputs, signal: AbortSignal | undefined): Promise<number> {
  return Symbol.asyncIterator in inputs ? 0 : await countInputs(inputs, signal)
}

/** The `count` most probable labels; among equals the first. */
export function topOf(probabilities: Float64Array, labels: readonly string[], count: number): Prediction['top'] {
  const order = [...probabilities.keys()].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
  return order
    .slice(0, count)
    .map((index) => ({ label: labels[index] ?? String(index), score: probabilities[index] ?? 0 }))
}
