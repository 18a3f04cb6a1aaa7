// Pictures to vectors that can be compared with stored ones: the same model, layer, preprocessing and components.
import { checkPreprocessing, type Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { isJsonObject } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { loadModel } from '../model/load.ts'
import { openProjection } from '../solve/principal-components.ts'
import { openNpy } from '../vectors/npy.ts'
import { embeddedRows, layersOf, shardImages, shardTotal } from './embed-rows.ts'
import { readComponents } from './finish-vectors.ts'
import type { Inputs, SearchOptions } from './options.ts'
import type { StoredVectors } from './stored-vectors.ts'

export interface Query {
  readonly path: string
  readonly error: string | null
  /** NaN where there is an error. */
  readonly vector: Float32Array
}

/** Rows of a matrix as queries. */
export async function* matrixQueries(file: string, columns: number): AsyncGenerator<Query, void, undefined> {
  const matrix = await openNpy(file)
  if (matrix.columns !== columns) {
    throw new RegraftError(
      'data',
      `${inertName(file)} has vectors of ${matrix.columns} values, those to search have ${columns}.`,
      { file },
    )
  }
  for (let row = 0; row < matrix.rows; row++) {
    yield { path: String(row), error: null, vector: await matrix.readRows(row, 1) }
  }
}

/**
 * Pictures as queries.
 * @throws RegraftError 'weights' when the model that made the vectors cannot be had or is another one now; 'data' for vectors that do not
 *   say what made them
 */
export async function* pictureQueries(
  { folder, meta, layer }: StoredVectors,
  inputs: Inputs,
  options: SearchOptions,
): AsyncGenerator<Query, void, undefined> {
  const { engine, signal, listener } = options
  const refuse = (problem: string) => new RegraftError('data', `${inertName(folder)} ${problem}`, { file: folder })
  if (meta === undefined) {
    throw refuse('has no meta.json of these vectors, so pictures cannot be compared with them. Give vectors (.npy).')
  }
  const { model: made, preprocessing, pool, pca } = meta.json
  const wanted = meta.layers[layer]?.name ?? ''
  if (!isJsonObject(made) || typeof made['name'] !== 'string' || !isJsonObject(preprocessing)) {
    throw refuse('does not say which model made its vectors.')
  }
  const { model: loaded, remarks } = await loadModel(options.model ?? made['name'], {
    offline: options.offline,
    signal,
    listener,
  })
  for (const message of remarks) listener?.({ type: 'note', message })
  if ((loaded.origin.sha256 ?? null) !== made['sha256']) {
    throw new RegraftError(
      'weights',
      `${inertName(options.model ?? made['name'])} is not the model that made the vectors in ${inertName(folder)}: their weights differ. Give that model with --model.`,
    )
  }
  // Our own words in meta.json, which `checkPreprocessing` looks through.
  const typed = { ...preprocessing } as unknown as Preprocessing
  checkPreprocessing(typed)
  const model = { ...loaded, preprocessing: typed }
  const layers = layersOf(model, { layers: [wanted], pool: pool === 'none' ? 'none' : 'mean' })
  const whole = { index: 1, count: 1 }
  const total = await shardTotal(inputs, whole, signal)
  const images = shardImages(inputs, whole, 0, signal)
  const described = isJsonObject(pca) ? pca : undefined
  const basis = described && (await readComponents(folder, meta.layers, wanted))
  const projection = basis && (await openProjection(engine, basis, described?.['whitened'] === true))
  try {
    for await (const { rows, values } of embeddedRows(model, layers, images, { ...options, total, done: 0 })) {
      const all = values[0] ?? new Float32Array()
      const vectors = projection ? await projection.project(all, signal) : all
      const columns = vectors.length / rows.length
      for (const [at, { path, error }] of rows.entries()) {
        yield { path, error, vector: vectors.slice(at * columns, (at + 1) * columns) }
      }
    }
  } finally {
    projection?.close()
  }
}
