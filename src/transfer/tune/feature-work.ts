// Features that all trials share: computed once from pictures, or read from what embed wrote.
import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { pathFacts } from '../../files/folder.ts'
import { inertName } from '../../inert-text.ts'
import type { EventLog } from '../event-log.ts'
import { gatherVectors } from '../head.ts'
import type { TrainOptions } from '../options.ts'
import { prepared } from '../train.ts'
import { computedVectors } from '../train-on-features.ts'
import type { BothVectors } from '../train-vectors.ts'
import type { Work } from '../train-work.ts'

/** A work in mode features, and the way to its vectors. */
export interface FeatureWork {
  readonly work: Work
  vectors(): Promise<BothVectors>
}

/** Options that say how pictures are found and read. */
const ofPictures = [
  'groupBy',
  'dedupe',
  'onError',
  'maxBad',
  'imgSize',
  'cropPct',
  'interpolation',
  'cropMode',
  'resize',
  'preprocess',
  'normalize',
] as const satisfies readonly (keyof TrainOptions)[]

/**
 * All that has to be known before the folder of the run is touched.
 * @param options  `data`: an image folder, or vectors that embed wrote
 */
export async function featureWork(options: TrainOptions, log: EventLog): Promise<FeatureWork> {
  if ((await pathFacts(path.join(options.data, 'meta.json'))) !== undefined) {
    const ignored = ofPictures.find((name) => options[name] !== undefined)
    if (ignored !== undefined)
      throw new RegraftError(
        'usage',
        `${inertName(options.data)} holds vectors, which are made already: ${ignored} has no meaning with them. Leave it out, or give the pictures.`,
      )
    const { model: backbone, data: vectors, ...rest } = options
    const gathered = await gatherVectors({ ...rest, vectors, ...(backbone === undefined ? {} : { backbone }) })
    const work = { ...gathered.work, flushEvents: () => log.flush() }
    return { work, vectors: async () => gathered.vectors }
  }
  const work = { ...(await prepared({ ...options, mode: 'features' }, log)), passing: true }
  return { work, vectors: () => computedVectors(work) }
}
