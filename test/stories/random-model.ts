// A model of random weights in a folder: what a downloaded one is to a user, without the download.
import { initialiserNamed } from '../../src/model/initialisers.ts'
import { freshModel, type PreprocessingChanges } from '../../src/model/load.ts'
import { graphOf, type Head, type Model } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import { randomParameters } from '../support/fill-parameters.ts'

/** Random weights, running statistics and counters for an architecture. */
export async function randomModel(
  architecture: string,
  options: { labels?: readonly string[]; head?: Head; seed?: number } & PreprocessingChanges = {},
): Promise<Model> {
  const { labels = [], seed = 1, ...changes } = options
  const head: Head = options.head ?? (labels.length > 0 ? { kind: 'linear' } : { kind: 'none' })
  // Drawn below, so not here: large networks take seconds for it.
  const trunk = await freshModel(architecture, seed, { imgSize: 32, cropPct: 1, ...changes }, initialiserNamed('zeros'))
  const model = { ...trunk, head, labels }
  const counters = new Map([...trunk.counters.keys()].map((name, index) => [name, 1000 + index]))
  return { ...model, tensors: randomParameters(graphOf(model), seed), counters }
}

/** The same, saved. @returns the folder */
export async function savedModel(
  folder: string,
  architecture: string,
  options?: Parameters<typeof randomModel>[1],
): Promise<string> {
  await saveModel(await randomModel(architecture, options), folder)
  return folder
}
