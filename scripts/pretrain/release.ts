// From the best weights of a run to a model for the package: half precision, and outputs that any reader can check itself by.
import { RegraftError } from '../../src/errors.ts'
import { graphToJson } from '../../src/graph/graph-json.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { loadModel } from '../../src/model/load.ts'
import { graphOf, type Model } from '../../src/model/model.ts'
import { saveModel } from '../../src/model/save.ts'
import { type Metrics, metricsOf } from '../../src/train/classification.ts'
import { evaluatePictures } from '../../src/transfer/evaluate-pictures.ts'
import { goldenPictures, outputsOf } from '../../src/transfer/golden.ts'
import { opened } from '../../src/transfer/opened.ts'
import { openInference, openSession } from '../../src/transfer/session.ts'
import type { PackedData } from './packed.ts'
import type { Recipe } from './recipe.ts'

const GOLDEN_PICTURES = 2
const BATCH = 64

interface ReleaseOptions {
  readonly best: string
  readonly folder: string
  readonly size: number
  readonly recipe: Recipe
  readonly architecture?: string
}

/**
 * Writes the model folder.
 * @param best  a model folder with weights in full precision
 * @param size  pixels of a side that pictures will have in use
 * @param architecture  the name that the network has in the product; without one the model brings its graph along
 */
export async function release(
  engine: Engine,
  { best, folder, size, recipe, architecture }: ReleaseOptions,
): Promise<void> {
  const loaded = (await loadModel(best, { imgSize: size })).model
  const model = architecture === undefined ? loaded : named(loaded, architecture)
  const training = { recipe }
  const licensed = { ...model, origin: { ...model.origin, license: 'apache-2.0' } }
  await saveModel(licensed, folder, { dtype: 'F16', training })
  // What the rounded weights give is what readers will get.
  const { model: halved } = await loadModel(folder)
  const pictures = goldenPictures(GOLDEN_PICTURES, size, size)
  const data = await outputsOf(engine, halved, pictures, GOLDEN_PICTURES, undefined)
  await saveModel(licensed, folder, {
    dtype: 'F16',
    training,
    golden: {
      pictures,
      count: GOLDEN_PICTURES,
      outputs: { shape: [GOLDEN_PICTURES, data.length / GOLDEN_PICTURES], data },
      kernels: engine.build,
    },
  })
}

/** The same network without its graph. @throws RegraftError 'usage' where the architecture of that name is another one */
function named(model: Model, architecture: string): Model {
  const { graph: _, builder: __, ...rest } = model
  const result = { ...rest, architecture }
  const wanted = JSON.stringify(graphToJson(graphOf(model)))
  if (JSON.stringify(graphToJson(graphOf(result))) === wanted) return result
  throw new RegraftError('usage', `The network is not ${architecture}: it was trained by another recipe.`)
}

/** Metrics of a model on the packed validation pictures, each seen once and whole. @throws RegraftError 'usage' for other classes */
export async function validate(engine: Engine, data: PackedData, folder: string, size: number): Promise<Metrics> {
  const { model } = await loadModel(folder, { imgSize: size })
  if (JSON.stringify(model.labels) !== JSON.stringify(data.classes))
    throw new RegraftError('usage', `${folder} has other classes than the packed pictures. Give a model of this data.`)
  const all = opened()
  try {
    const session = all.add(await openSession(engine, model))
    const runner = all.add(await openInference(engine, session, BATCH))
    const { preprocessing } = model
    const outputs = await evaluatePictures(runner, data.validation, preprocessing, data.classes.length, {})
    return metricsOf(outputs.logits, outputs.labels, data.classes.length)
  } finally {
    all.close()
  }
}
