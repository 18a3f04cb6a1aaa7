// Files of TensorFlow.js: model.json, and the weights_manifest.json of its first year.
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { checkpointOf, weightsError } from './stored-tensors.ts'
import { checkLayersModel } from './tfjs-network.ts'
import { isObject, readTfjsJson, readTfjsManifest } from './tfjs-weights.ts'

/** Whether a file of TensorFlow.js holds a network beside its weights. */
export async function isLayersModel(file: string): Promise<boolean> {
  return isObject(await readTfjsJson(file))
}

/**
 * The weights of a layers model, or of a manifest alone, under their own names.
 * @throws RegraftError `weights` also when the model contradicts its weights
 */
export async function openTfjsWeights(file: string): Promise<Checkpoint> {
  const root = await readTfjsJson(file)
  if (Array.isArray(root)) return checkpointOf(file, await readTfjsManifest(file, root))
  if (!isObject(root) || (root['modelTopology'] === undefined && root['weightsManifest'] === undefined)) {
    throw weightsError(
      file,
      'this JSON is not a model of TensorFlow.js: it has no modelTopology and no weightsManifest.',
    )
  }
  const tensors = await readTfjsManifest(file, root['weightsManifest'])
  if (root['modelTopology'] !== undefined) checkLayersModel(file, root, tensors)
  return checkpointOf(file, tensors)
}
