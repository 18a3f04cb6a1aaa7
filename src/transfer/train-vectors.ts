import type { DataSplit, Sample } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Model } from '../model/model.ts'
import type { Runner } from '../runtime/runner.ts'
import { type ImageOutputs, imageOutputs } from './extract-features.ts'
import type { Vectors } from './head-trainer.ts'
import { writeBad } from './run-folder.ts'
import { badCollector, type Work } from './train-work.ts'

export interface BothVectors {
  readonly train: Vectors
  readonly validation: Vectors
  readonly badTrain: Set<number>
  readonly validationBytes: { readonly bytes: Uint8Array; readonly labels: Int32Array } | undefined
}

/** Bytes of decoded validation pictures that are kept in memory; beyond it they are decoded in each epoch. */
const KEPT_PICTURES_BYTES = 1 << 30

/**
 * Each picture through the trunk once; what cannot be read is found on the way.
 * @param runner  prepared, and giving the features
 */
export async function vectorsOf(work: Work, runner: Runner): Promise<BothVectors> {
  const { options, config, data, model, timing } = work
  const total = data.train.length + data.validation.length
  const onBad = badCollector(work, total)
  const badTrain = new Set<number>()
  const pass = async (
    samples: readonly Sample[],
    known: Set<number>,
    onBytes?: (bytes: Uint8Array, indices: readonly number[]) => void,
  ): Promise<Vectors> => {
    const outputs = await imageOutputs(runner, samples, {
      signal: options.signal,
      listener: options.listener,
      onError: config.onError,
      phase: 'features',
      preprocessing: model.preprocessing,
      layer: runner.graph.features,
      onBad,
      knownBad: known,
      timing,
      ...(onBytes ? { onBytes } : {}),
    })
    checkFeatures(outputs, samples, model)
    return {
      values: outputs.values,
      width: outputs.width,
      labels: Int32Array.from(outputs.indices, (index) => samples[index]?.label ?? 0),
      paths: outputs.indices.map((index) => samples[index]?.path ?? ''),
    }
  }
  const trainVectors = await pass(data.train, badTrain)
  const { height, width } = model.preprocessing
  const pictureBytes = height * width * 3
  const keep = data.validation.length * pictureBytes <= KEPT_PICTURES_BYTES
  const kept = new Uint8Array(keep ? data.validation.length * pictureBytes : 0)
  let at = 0
  const validationVectors = await pass(
    data.validation,
    new Set(),
    keep
      ? (bytes) => {
          kept.set(bytes, at)
          at += bytes.length
        }
      : undefined,
  )
  if (options.strict && work.bad.length > 0) {
    throw new RegraftError(
      'data',
      `${work.bad.length} pictures cannot be read, and --strict was given. The first: ${work.bad[0]?.path}: ${work.bad[0]?.reason}.`,
    )
  }
  checkEnough(data, trainVectors.labels, validationVectors.labels)
  await writeBad(work.out, work.bad)
  return {
    train: trainVectors,
    validation: validationVectors,
    badTrain,
    validationBytes: keep ? { bytes: kept.subarray(0, at), labels: validationVectors.labels } : undefined,
  }
}

/** Pictures are always finite, so features that are not are the network's doing. */
function checkFeatures({ values, width, indices }: ImageOutputs, samples: readonly Sample[], model: Model): void {
  const at = values.findIndex((value) => !Number.isFinite(value))
  if (at < 0) return
  const picture = samples[indices[Math.floor(at / width)] ?? 0]?.path ?? ''
  throw new RegraftError(
    'weights',
    `The features of ${inertName(picture)} are not finite numbers: the weights of ${model.origin.name} do not fit its network, or are damaged.\n` +
      'Take another model.',
  )
}

function checkEnough(data: DataSplit, train: Int32Array, validation: Int32Array): void {
  const present = new Set(train)
  const empty = data.classes.filter((_, label) => !present.has(label))
  if (empty.length > 0)
    throw new RegraftError(
      'data',
      `No readable training picture in ${empty.length === 1 ? 'class' : 'the classes'} ${empty.slice(0, 5).join(', ')}${empty.length > 5 ? ` and ${empty.length - 5} more` : ''}.`,
    )
  if (validation.length === 0) throw new RegraftError('data', 'None of the validation pictures can be read.')
}
