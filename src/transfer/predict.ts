// The verb `predict`: pictures to labels, row by row, in the order of the inputs.
import { countInputs, inputImages } from '../data/expand-inputs.ts'
import { oneAhead } from '../data/one-ahead.ts'
import { pictureBatches } from '../data/picture-batches.ts'
import { RegraftError } from '../errors.ts'
import { loadModel } from '../model/load.ts'
import { outputOf } from '../model/model.ts'
import { outputScores } from '../train/classification.ts'
import { openReadout } from './neighbour-head.ts'
import { opened } from './opened.ts'
import type { Inputs, Prediction, PredictOptions } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { UNKNOWN } from './threshold.ts'

/**
 * One row per input, 'unknown' where the best label is less probable than the threshold, also for those that cannot be read, in their order, as the inputs come.
 * @param model   a path, the name of a card, `owner/name[@rev]` on the hub, or 'default'
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
  const kind = outputOf(loaded)
  if (kind === 'identity' && (options.threshold ?? 0) > 0)
    throw new RegraftError(
      'usage',
      `--threshold is a probability, and the outputs of ${model} are none: it was trained with --loss ${loaded.loss?.kind}. Leave it out.`,
    )
  const threshold = kind === 'identity' ? Number.NEGATIVE_INFINITY : (options.threshold ?? loaded.threshold ?? 0)
  const topk = Math.max(1, Math.min(options.topk ?? 1, labels.length))
  const total = await totalOf(inputs, signal)
  const batchSize = Math.min(options.batchSize ?? INFERENCE_BATCH, Math.max(1, total || Number.POSITIVE_INFINITY))
  let done = 0
  const all = opened()
  try {
    const session = all.add(await openSession(engine, loaded))
    const runner = all.add(await openInference(engine, session, batchSize, [], signal))
    listener?.({ type: 'phase', phase: 'predict', total, unit: 'images' })
    const readout = all.add(await openReadout(engine, loaded))
    const images = inputImages(inputs, signal)
    const batches = pictureBatches(images, { preprocessing, batchSize, signal, onError: options.onError })
    for await (const { rows, count, bytes } of oneAhead(batches)) {
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
        const scores = outputScores(logits.subarray(slot * labels.length, (slot + 1) * labels.length), kind)
        const top = topOf(scores, labels, topk)
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

/** The `count` labels of the highest scores; among equals the first. */
export function topOf(scores: Float64Array, labels: readonly string[], count: number): Prediction['top'] {
  const order = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
  return order.slice(0, count).map((index) => ({ label: labels[index] ?? String(index), score: scores[index] ?? 0 }))
}
