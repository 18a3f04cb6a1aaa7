// The handful of pictures of a trial: drawn at random, and fewer the longer each of them takes.
import { keptImages } from '../../data/decode.ts'
import type { Sample } from '../../data/sample.ts'
import { randomStream } from '../../random.ts'
import { newTiming } from '../extract-features.ts'
import type { Vectors } from '../head-trainer.ts'
import { mixesPictures, withoutRegularisers } from '../regularisers.ts'
import type { BothVectors, FeaturePass } from '../train-vectors.ts'
import type { Work } from '../train-work.ts'

const MOST_TRAINING = 96
const MOST_VALIDATION = 32

/** The work with a few of its pictures, unheard and unseen: it tells nobody, and keeps nothing on the disk. */
export function sampleOf(work: Work): Work {
  const { data, config, options } = work
  const { listener: _, ...quiet } = options
  const keeps = (options.cache ?? config.cache ?? 'memory') !== 'off' && !mixesPictures(config)
  return {
    ...work,
    options: { ...quiet, ...(config.mode === 'finetune' ? { cache: keeps ? 'memory' : 'off' } : {}) },
    config: { ...withoutRegularisers(config), onError: 'skip' },
    data: {
      ...data,
      train: some(data.train, config.seed, MOST_TRAINING),
      validation: some(data.validation, config.seed, MOST_VALIDATION),
      test: [],
    },
    timing: newTiming(),
    kept: keptImages(),
    bad: [],
    flushEvents: async () => undefined,
  }
}

function some(samples: readonly Sample[], seed: number, most: number): readonly Sample[] {
  const order = randomStream({ seed, purpose: 'pictures of a trial' }).permutation(samples.length)
  return Array.from(order.subarray(0, most), (index) => samples[index]).filter((sample) => sample !== undefined)
}

/**
 * Features of the pictures of a trial, and how long one takes.
 * @returns no vectors when too few pictures can be read to try anything
 */
export async function sampleVectors(
  sample: Work,
  pass: FeaturePass,
): Promise<{ readonly vectors: BothVectors | undefined; readonly secondsPerPicture: number }> {
  const { data } = sample
  const badTrain = new Set<number>()
  const badValidation = new Set<number>()
  const ignore = () => undefined
  const of = async (split: 'train' | 'validation', knownBad: Set<number>): Promise<Vectors> => {
    const { values, width, indices } = await pass(data[split], { split, knownBad, onBad: ignore })
    return {
      values,
      width,
      labels: Int32Array.from(indices, (index) => data[split][index]?.label ?? 0),
      paths: indices.map((index) => data[split][index]?.path ?? ''),
    }
  }
  // The first pictures also pay for what is started and compiled.
  const validation = await of('validation', badValidation)
  const startedAt = performance.now()
  const train = await of('train', badTrain)
  const secondsPerPicture = (performance.now() - startedAt) / 1000 / Math.max(1, train.labels.length)
  if (train.labels.length < 2 || validation.labels.length === 0) return { vectors: undefined, secondsPerPicture }
  return { vectors: { train, validation, badTrain, badValidation }, secondsPerPicture }
}
