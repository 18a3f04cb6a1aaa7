// What a model is made of, before its weights are read: configuration, network, and where the weights lie.
import * as path from 'node:path'
import type { Architecture } from '../architectures/architecture.ts'
import { GRAPH_ARCHITECTURE } from '../architectures/from-graph.ts'
import { architectureNamed } from '../architectures/index.ts'
import { RegraftError } from '../errors.ts'
import type { ForeignNetwork } from '../formats/foreign-network.ts'
import { openCheckpoint, openNetwork } from '../formats/index.ts'
import { renameTensors } from '../formats/rename.ts'
import { fromSlimMobileNet } from '../formats/slim.ts'
import { type Graph, layerNamed } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import type { FoundModel } from './find-model.ts'
import { pytorchConventions, recogniseNetwork, tensorflowConventions, usualPreprocessing } from './recognise-network.ts'
import { readSavedModel, type SavedModel } from './saved-model.ts'
import { readTimmConfig, type TimmConfig } from './timm-config.ts'

export interface ModelDescription {
  readonly config: TimmConfig
  /** regraft.json, where the model was saved here. */
  readonly saved: SavedModel | undefined
  /** The network itself, where no architecture builds it. */
  readonly graph: Graph | undefined
  /** What builds it, where that was given. */
  readonly builder: Architecture | undefined
  /** The weights, under the names of the network. */
  readonly weights: Checkpoint
  /** What was assumed, chosen or left out, in sentences for people. */
  readonly remarks: readonly string[]
}

/**
 * Reads the configuration beside the weights; where there is none, the network is told by the file itself, or recognised by
 * its weights.
 * @param own  architectures that are looked through before those that are known
 * @throws RegraftError 'weights'
 */
export async function readDescription(found: FoundModel, own: readonly Architecture[] = []): Promise<ModelDescription> {
  const network = await openNetwork(found.weights, { size: usualPreprocessing.height, ...usualPreprocessing })
  if (network !== undefined) return describeNetwork(found, network)
  // The configuration first: it is small, and its faults are the ones to hear of.
  const config = found.config === undefined ? undefined : await readTimmConfig(found.config)
  const saved = config === undefined ? undefined : await readSavedModel(path.join(found.folder, 'regraft.json'))
  const stored = await openCheckpoint(found.weights, { cacheRoot: found.hub?.cache })
  const remarks = stored.remarks.map((remark) => `${inertName(found.weights)}: ${remark}`)
  if (config?.architecture === GRAPH_ARCHITECTURE) {
    if (saved?.graph !== undefined) {
      return { config, saved, graph: saved.graph, builder: undefined, weights: stored, remarks }
    }
    const file = path.join(found.folder, 'regraft.json')
    throw new RegraftError('weights', `${file}: the graph of the network is missing.\nCopy the whole folder.`, { file })
  }
  const slim = fromSlimMobileNet(stored)
  const named = slim ?? stored
  const { config: known, remark } =
    config === undefined
      ? recogniseNetwork(named, slim === undefined ? pytorchConventions : tensorflowConventions, own)
      : { config, remark: undefined }
  const builder = own.find(({ name }) => name === known.architecture)
  const { torchvision } = builder ?? followingFrom(found.config, () => architectureNamed(known.architecture))
  const weights = renameTensors(named, torchvision?.names ?? new Map())
  return {
    config: known,
    saved,
    graph: undefined,
    builder,
    weights,
    remarks: remark === undefined ? remarks : [remark, ...remarks],
  }
}

/** What follows from a configuration, with its file in front of the errors, where there is one. */
export function followingFrom<T>(file: string | undefined, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (file === undefined || !(error instanceof RegraftError)) throw error
    throw new RegraftError(error.code, `${inertName(file)}: ${error.message}`, { file, cause: error })
  }
}

async function describeNetwork(found: FoundModel, network: ForeignNetwork): Promise<ModelDescription> {
  const { graph, checkpoint, labels, pictures } = network
  const shown = inertName(found.weights)
  const remarks = network.remarks.map((remark) => `${shown}: ${remark}`)
  const input = graph.layers.find((layer) => layer.op === 'imageInput')
  if (input === undefined) {
    throw new RegraftError('weights', `${shown}: the input of the network is no picture of three channels.`, {
      file: found.weights,
    })
  }
  const { height, width } = input.attrs
  const classes = graph.classifier === undefined ? 0 : (layerNamed(graph, graph.output).shape.at(-1) ?? 0)
  if (classes === 0) remarks.push(`${shown}: its last layer is not a linear one, so its outputs count as features.`)
  const beside = await timmConfigBeside(found, remarks)
  if (beside === undefined && pictures === undefined) {
    remarks.push(
      `${shown}: it does not say how its pictures are made. Assumed: mean and std of ImageNet, crop_pct 0.875, bilinear. If it was trained otherwise, put a timm config.json beside it.`,
    )
  }
  const preprocessing = { ...(beside?.preprocessing ?? { ...usualPreprocessing, ...pictures }), height, width }
  const config: TimmConfig = {
    architecture: GRAPH_ARCHITECTURE,
    args: {},
    classes,
    labels: labels?.length === classes ? labels : beside?.labels?.length === classes ? beside.labels : undefined,
    preprocessing,
    labelOffset: 0,
    tag: undefined,
    license: beside?.license,
  }
  return { config, saved: undefined, graph, builder: undefined, weights: checkpoint, remarks }
}

/** A configuration of timm beside the file; other tools call other things config.json, which is said. */
async function timmConfigBeside(found: FoundModel, remarks: string[]): Promise<TimmConfig | undefined> {
  if (found.config === undefined) return undefined
  try {
    return await readTimmConfig(found.config)
  } catch (error) {
    if (!(error instanceof RegraftError)) throw error
    remarks.push(`${inertName(found.config)}: left out, since it is not one of timm: ${error.message}`)
    return undefined
  }
}
