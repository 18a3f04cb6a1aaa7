// A head whose network is elsewhere: trained on vectors when the model that made them could not be had.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { sha256OfFile } from '../files/digest.ts'
import { createFolder, pathFacts } from '../files/folder.ts'
import { writeJson } from '../files/strict-json.ts'
import { openSafetensors, writeSafetensors } from '../formats/safetensors.ts'
import { parameterName, parametersOf } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { formatShape, shapesEqual } from '../tensor/shape.ts'
import { readNeighbours } from './head-tensors.ts'
import { joinHead } from './join-head.ts'
import { graphOf, type Model, outputOf } from './model.ts'
import { type Backbone, checkDigest, FORMAT_VERSION, readSavedModel, type SavedModel } from './saved-model.ts'

const FILE = 'head.safetensors'

/** What a head without its network is. */
export interface LoneHead extends Pick<Model, 'head' | 'labels' | 'loss' | 'preprocessing'> {
  readonly backbone: Backbone
  /** Those of a linear head under `LONE_CLASSIFIER`. */
  readonly tensors: ReadonlyMap<string, HostTensor>
}

/** Writes `regraft.json` and `head.safetensors`. @param training  how it came about */
export async function saveLoneHead(lone: LoneHead, folder: string, training: unknown): Promise<void> {
  await createFolder(folder)
  const file = path.join(folder, FILE)
  const tensors = [...lone.tensors].map(([name, { shape, data }]) => ({ name, dtype: 'F32' as const, shape, data }))
  await writeSafetensors(file, tensors, { format: 'pt' })
  await writeJson(path.join(folder, 'regraft.json'), {
    format: FORMAT_VERSION,
    preprocessing: lone.preprocessing,
    output: outputOf(lone),
    ...(lone.loss === undefined ? {} : { loss: lone.loss }),
    head: lone.head,
    labels: lone.labels,
    backbone: lone.backbone,
    training,
    digests: { [FILE]: await sha256OfFile(file) },
  })
}

/** The folder of a head without its network, and what it says; undefined for everything else. */
export async function findLoneHead(
  name: string,
): Promise<{ readonly folder: string; readonly saved: SavedModel; readonly backbone: Backbone } | undefined> {
  if ((await pathFacts(name))?.kind !== 'folder') return undefined
  for (const folder of [name, path.join(name, 'best'), path.join(name, 'best.old')]) {
    if ((await pathFacts(path.join(folder, 'config.json'))) !== undefined) return undefined
    const saved = await readSavedModel(path.join(folder, 'regraft.json'))
    if (saved !== undefined) return saved.backbone && { folder, saved, backbone: saved.backbone }
  }
  return undefined
}

/**
 * Puts a head on its network.
 * @param trunk  the model that was given for it
 * @throws RegraftError 'weights' when that is another one than made the vectors, or the head's file is missing or damaged
 */
export async function joinLoneHead(
  { folder, saved, backbone }: NonNullable<Awaited<ReturnType<typeof findLoneHead>>>,
  trunk: Model,
): Promise<Model> {
  if (trunk.origin.sha256 !== backbone.sha256) {
    throw new RegraftError(
      'weights',
      `--backbone ${inertName(trunk.origin.name)} is not the model that made the vectors which the head in ${inertName(folder)} learnt from: its SHA-256 begins with ${trunk.origin.sha256?.slice(0, 8)}, that of ${inertName(backbone.name)} began with ${backbone.sha256.slice(0, 8)}.\nGive that very model.`,
      { file: folder },
    )
  }
  checkLayer(backbone, trunk)
  const file = path.join(folder, FILE)
  checkDigest(saved, file, await sha256OfFile(file))
  const stored = await openSafetensors(file)
  const tensors = new Map<string, HostTensor>()
  for (const name of stored.names()) tensors.set(name, await stored.read(name))
  const { preprocessing, threshold, loss } = saved
  const model = {
    ...joinHead(trunk, { head: saved.head, labels: saved.labels, ...(loss === undefined ? {} : { loss }), tensors }),
    preprocessing,
    ...(threshold === undefined ? {} : { threshold }),
  }
  if (saved.head.kind === 'knn') await readNeighbours(model, saved.head, stored)
  for (const layer of graphOf(model).layers) {
    for (const spec of parametersOf(layer)) {
      const tensor = model.tensors.get(parameterName(layer, spec))
      if (tensor && shapesEqual(tensor.shape, spec.shape)) continue
      throw new RegraftError(
        'weights',
        `${inertName(file)} does not fit the network: '${parameterName(layer, spec)}' is ${tensor ? formatShape(tensor.shape) : 'missing'}, expected ${formatShape(spec.shape)}.`,
        { file },
      )
    }
  }
  return model
}

/** @throws RegraftError 'usage' for a head that learnt from another layer than the one below the head of a network */
export function checkLayer({ layer }: Backbone, model: Model): void {
  const { features } = graphOf({ ...model, head: { kind: 'none' }, labels: [] })
  if (layer === features) return
  throw new RegraftError(
    'usage',
    `These are vectors of the layer '${inertName(layer, 100)}'; the head of ${inertName(model.origin.name)} gets those of '${features}', which embed takes when no layer is named.`,
  )
}

/** What to say to somebody who has the head, and not said where its network is. */
export function backboneMissing(name: string, { name: made, sha256 }: Backbone): RegraftError {
  return new RegraftError(
    'weights',
    `${inertName(name)} holds a head alone: it learnt from vectors that ${inertName(made)} made (SHA-256 ${sha256.slice(0, 8)}…).\nGive that model with --backbone.`,
    { file: name },
  )
}
