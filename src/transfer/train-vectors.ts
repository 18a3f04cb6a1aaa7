import type { BadImage } from '../data/loader.ts'
import type { DataSplit, Sample } from '../data/sample.ts'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Model } from '../model/model.ts'
import type { ImageOutputs } from './extract-features.ts'
import type { Vectors } from './head-trainer.ts'
import { readBad, writeBad } from './run-folder.ts'
import { badCollector, type Work } from './train-work.ts'

export interface BothVectors {
  readonly train: Vectors
  readonly validation: Vectors
  /** Where the vectors came with some for the test. */
  readonly test?: Vectors
  readonly badTrain: Set<number>
  readonly badValidation: Set<number>
}

/** How pictures become feature vectors. `knownBad` grows by those that cannot be read. */
export type FeaturePass = (
  samples: readonly Sample[],
  options: {
    readonly split: 'train' | 'validation'
    readonly knownBad: Set<number>
    readonly onBad: (image: BadImage) => void
  },
) => Promise<ImageOutputs>

/**
 * Each picture through the trunk once; what cannot be read is found on the way.
 */
export async function vectorsOf(work: Work, pass: FeaturePass): Promise<BothVectors> {
  const { options, data, model } = work
  const total = data.train.length + data.validation.length
  const onBad = badCollector(work, total)
  const vectors = async (split: 'train' | 'validation', knownBad: Set<number>): Promise<Vectors> => {
    const samples = data[split]
    const outputs = await pass(samples, { split, knownBad, onBad })
    checkFeatures(outputs, samples, model)
    return {
      values: outputs.values,
      width: outputs.width,
      labels: Int32Array.from(outputs.indices, (index) => samples[index]?.label ?? 0),
      paths: outputs.indices.map((index) => samples[index]?.path ?? ''),
    }
  }
  const badTrain = new Set<number>()
  const badValidation = new Set<number>()
  const train = await vectors('train', badTrain)
  const validation = await vectors('validation', badValidation)
  const unusable = [...data.unusable, ...work.bad]
  const [first] = unusable
  if (options.strict && first !== undefined) {
    throw new RegraftError(
      'data',
      `${unusable.length} pictures cannot be read, and --strict was given. The first: ${inertName(first.path)}: ${first.reason}.`,
    )
  }
  checkEnough(data, first, train.labels, validation.labels)
  if (work.resumed) await checkSameBad(work)
  // lr-find has no folder, and keeps nothing.
  if (work.out !== '') await writeBad(work.out, [...data.skipped, ...data.ignored, ...work.bad])
  return { train, validation, badTrain, badValidation }
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

/**
 * A picture that could be read only before, or only now, would make an epoch of other pictures, which nothing else would notice.
 * @throws RegraftError 'data' naming it
 */
async function checkSameBad({ out, data, bad }: Work): Promise<void> {
  const before = await readBad(out)
  if (before === undefined) return
  const now = new Map(bad.map(({ path, reason }) => [path, reason]))
  for (const { path, file } of [...data.train, ...data.validation]) {
    const reason = now.get(path)
    if (before(path) === (reason !== undefined)) continue
    const change =
      reason === undefined
        ? 'can be read now, and could not when the run began'
        : `${reason}, and was read when the run began`
    throw new RegraftError(
      'data',
      `${inertName(out)} cannot be gone on with: ${inertName(path)} ${change}.\nPut the picture back to what it was, or begin a new run.`,
      { file },
    )
  }
}

function checkEnough(
  data: DataSplit,
  first: Pick<BadImage, 'path' | 'reason'> | undefined,
  train: Int32Array,
  validation: Int32Array,
): void {
  const why = first ? `\nThe first that cannot be: ${inertName(first.path)}: ${first.reason}.` : ''
  const present = new Set(train)
  const empty = data.classes.filter((_, label) => !present.has(label))
  if (empty.length > 0)
    throw new RegraftError(
      'data',
      `No readable training picture in ${empty.length === 1 ? 'class' : 'the classes'} ${empty.slice(0, 5).join(', ')}${empty.length > 5 ? ` and ${empty.length - 5} more` : ''}.${why}`,
    )
  if (validation.length === 0) throw new RegraftError('data', `None of the validation pictures can be read.${why}`)
}
