// The verb `eval`: a model on labelled folders.
import { labelledImages } from '../data/image-folder.ts'
import { RegraftError } from '../errors.ts'
import { loadModel } from '../model/load.ts'
import { type OutputKind, outputKindOf } from '../runtime/loss.ts'
import { argmax, outputScores } from '../train/classification.ts'
import { evaluationOf } from '../train/evaluation.ts'
import { writeEvaluation } from './evaluation-files.ts'
import { imageOutputs } from './extract-features.ts'
import { openReadout } from './neighbour-head.ts'
import { opened } from './opened.ts'
import type { EvaluateOptions, EvaluateResult } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'
import { type Judged, storeThreshold, thresholdFor } from './threshold.ts'

/**
 * All that can be said of a model on a folder per class, and its speed; the folders' names are the model's labels.
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
  const { labels, loss = { kind: 'ce' } } = loaded
  const kind = outputKindOf(loss)
  if (options.precision !== undefined && kind === 'identity')
    throw new RegraftError(
      'usage',
      `--precision looks for a probability, and the outputs of ${model} are none: it was trained with --loss ${loss.kind}. Train with ce, bce or focal for that.`,
    )
  const set = await labelledImages(data, labels, { signal })
  for (const { path, reason } of set.skipped) listener?.({ type: 'bad', path, reason })
  const all = opened()
  try {
    const session = all.add(await openSession(engine, loaded))
    const batchSize = options.batchSize ?? INFERENCE_BATCH
    const runner = all.add(await openInference(engine, session, batchSize, [], signal))
    const readout = all.add(await openReadout(engine, loaded))
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
    const logits = await readout.read(outputs.values, signal)
    const seconds = (performance.now() - startedAt) / 1000
    const truth = Int32Array.from(outputs.indices, (index) => set.samples[index]?.label ?? 0)
    if (truth.length === 0) throw new RegraftError('data', `None of the pictures in ${data} can be read.`)
    const paths = outputs.indices.map((index) => set.samples[index]?.path ?? '')
    const evaluation = await evaluationOf({ logits, labels: truth, paths }, labels, loss)
    if (options.report !== undefined)
      await writeEvaluation(options.report, evaluation, set.samples, loaded.preprocessing, signal)
    const result = { ...evaluation, bad, imagesPerSecond: evaluation.images / seconds }
    if (options.precision === undefined) return result
    const threshold = thresholdFor(judgedOf(logits, truth, kind), options.precision)
    if (options.store) await storeThreshold(model, threshold.value)
    return { ...result, threshold }
  } finally {
    all.close()
  }
}

/** How sure each label is, and whether it is right. @param logits  [labels.length, classes] */
function judgedOf(logits: Float32Array, truth: Int32Array, kind: OutputKind): readonly Judged[] {
  const classes = logits.length / truth.length
  return Array.from(truth, (label, row) => {
    const own = logits.subarray(row * classes, (row + 1) * classes)
    const predicted = argmax(own)
    return { score: outputScores(own, kind)[predicted] ?? 0, right: predicted === label }
  })
}
