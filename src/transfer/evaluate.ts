// The verb `eval`: a model on labelled folders.
import { labelledImages } from '../data/image-folder.ts'
import { RegraftError } from '../errors.ts'
import { loadModel } from '../model/load.ts'
import { argmax, metricsOf, softmax } from '../train/classification.ts'
import { imageOutputs } from './extract-features.ts'
import type { EvaluateOptions, EvaluateResult } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { type Judged, storeThreshold, thresholdFor } from './threshold.ts'

/**
 * Accuracy, loss, confusion and speed on a folder per class; the folders' names are the model's labels.
 * @throws RegraftError 'data' for a folder that is none of the model's classes, and for a precision that no threshold reaches
 */
export async function evaluate(model: string, data: string, options: EvaluateOptions): Promise<EvaluateResult> {
  const { engine, signal, listener } = options
  if (options.store && options.precision === undefined) {
    throw new RegraftError('usage', '--store goes with --precision: which share of the labels is to be right?')
  }
  const { model: loaded, remarks } = await loadModel(model, options)
  for (const message of remarks) listener?.({ type: 'note', message })
  if (loaded.head.kind === 'none')
    throw new RegraftError(
      'weights',
      `${model} has no classifier, so there is nothing to evaluate. Train one first: regraft train DATA --model ${model}.`,
    )
  const { labels } = loaded
  const set = await labelledImages(data, labels, { signal })
  for (const { path, reason } of set.skipped) listener?.({ type: 'bad', path, reason })
  const session = await openSession(engine, loaded)
  const runner = await openInference(engine, session, options.batchSize ?? INFERENCE_BATCH, [], signal)
  try {
    let bad = set.skipped.length
    const startedAt = performance.now()
    const outputs = await imageOutputs(runner, set.samples, {
      signal,
      listener,
      ...(options.onError === undefined ? {} : { onError: options.onError }),
      phase: 'evaluate',
      preprocessing: loaded.preprocessing,
      layer: session.graph.output,
      onBad: ({ path, reason }) => {
        bad++
        listener?.({ type: 'bad', path, reason })
      },
    })
    const seconds = (performance.now() - startedAt) / 1000
    const truth = Int32Array.from(outputs.indices, (index) => set.samples[index]?.label ?? 0)
    if (truth.length === 0) throw new RegraftError('data', `None of the pictures in ${data} can be read.`)
    const { loss, accuracy, count } = metricsOf(outputs.values, truth, labels.length)
    const confusion = labels.map(() => new Array<number>(labels.length).fill(0))
    const judged: Judged[] = []
    for (const [row, label] of truth.entries()) {
      const logits = outputs.values.subarray(row * labels.length, (row + 1) * labels.length)
      const predicted = argmax(logits)
      judged.push({ score: softmax(logits)[predicted] ?? 0, right: predicted === label })
      const counts = confusion[label]
      if (counts && predicted >= 0) counts[predicted] = (counts[predicted] ?? 0) + 1
    }
    const classes = labels.map((name, label) => {
      const images = truth.reduce((sum, actual) => sum + (actual === label ? 1 : 0), 0)
      return { name, images, accuracy: images > 0 ? (confusion[label]?.[label] ?? 0) / images : null }
    })
    const result = { accuracy, loss, images: count, bad, imagesPerSecond: count / seconds, classes, confusion }
    if (options.precision === undefined) return result
    const threshold = thresholdFor(judged, options.precision)
    if (options.store) await storeThreshold(model, threshold.value)
    return { ...result, threshold }
  } finally {
    runner.close()
    session.close()
  }
}
