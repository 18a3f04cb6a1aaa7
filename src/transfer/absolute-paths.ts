import * as path from 'node:path'
import { pathFacts } from '../files/folder.ts'
import type { TrainConfig } from './train-defaults.ts'

const isWord = (cache: string): boolean => cache === 'off' || cache === 'memory'

/** What is a path from here becomes one from anywhere, so that a run can be gone on with in another working directory. */
export async function withAbsolutePaths(config: TrainConfig): Promise<TrainConfig> {
  const absolute = async <T extends string | null>(text: T): Promise<T | string> =>
    text !== null && (await pathFacts(text)) !== undefined ? path.resolve(text) : text
  return {
    ...config,
    data: path.resolve(config.data),
    model: await absolute(config.model),
    // A cache may be a folder that is still to be made.
    cache: config.cache === null || isWord(config.cache) ? config.cache : path.resolve(config.cache),
    classWeights: config.classWeights === 'auto' ? 'auto' : await absolute(config.classWeights),
    val: await absolute(config.val),
    trainList: await absolute(config.trainList),
    test: await absolute(config.test),
  }
}
