// The verb `embed`: pictures to feature vectors in files. One row per input, always.
import * as path from 'node:path'
import { oneAhead } from '../data/one-ahead.ts'
import { RegraftError } from '../errors.ts'
import { createFolder, removeFile, removeFolder } from '../files/folder.ts'
import { type JsonObject, writeJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { loadModel } from '../model/load.ts'
import { type ChunkStore, holdsChunks, openChunks } from '../vectors/chunk-store.ts'
import type { VectorBlock, VectorRow } from '../vectors/vector-table.ts'
import { checkType, writeTable } from '../vectors/write-table.ts'
import { version } from '../version.ts'
import { arraysOf, embeddedRows, layersOf, type Shard, shardImages, shardTotal } from './embed-rows.ts'
import { type EmbedSpeed, measureSpeed } from './embed-speed.ts'
import { checkFinishing, describeFinishing, finishVectors, normalisedBlock } from './finish-vectors.ts'
import type { EmbedOptions, EmbedResult, EmbedRow, Inputs } from './options.ts'
import { checkTaken } from './taken-folder.ts'
import { describeTable, readVectorMeta } from './vector-meta.ts'

const WORK = 'unfinished'
const META = 'meta.json'
const WHOLE: Shard = { index: 1, count: 1 }
/** Rows and bytes of a chunk at most: what a crash costs. */
const CHUNK_ROWS = 256
const CHUNK_BYTES = 16 * 2 ** 20

/**
 * Writes vectors of pictures to a folder: `X.npy` (f32[inputs, features], or another format), `index.csv` (row, path, label, error) and
 * `meta.json`. A picture that cannot be read keeps its row, filled with NaN. The rows are kept in chunks under `unfinished/` until the
 * end, so that a crash costs one chunk and `resume` goes on.
 * @throws RegraftError 'data' when there is no input, none can be read, or other inputs than before come on `resume`; 'usage'
 */
export async function embed(model: string, inputs: Inputs, options: EmbedOptions): Promise<EmbedResult> {
  const { engine, signal, listener, out, shard = WHOLE, format = 'npy', dtype = 'float32' } = options
  checkType(format, dtype)
  checkShard(shard)
  checkFinishing(options)
  if (options.pca !== undefined && shard.count > 1) {
    throw new RegraftError('usage', '--pca needs all vectors: leave it out with --shard, and give it to merge.')
  }
  const { model: loaded, remarks } = await loadModel(model, options)
  for (const message of remarks) listener?.({ type: 'note', message })
  const wanted = layersOf(loaded, options)
  const arrays = arraysOf(wanted)
  const work = path.join(out, WORK)
  const description: JsonObject = {
    version,
    model: { name: model, architecture: loaded.architecture, sha256: loaded.origin.sha256 ?? null },
    layers: arrays.map(({ name }) => name),
    pool: options.pool ?? 'mean',
    ...describeFinishing(options),
    shard: { index: shard.index, count: shard.count },
    preprocessing: {
      ...loaded.preprocessing,
      mean: [...loaded.preprocessing.mean],
      std: [...loaded.preprocessing.std],
    },
    kernels: { build: engine.build, digest: engine.digest },
  }
  const before = await openFolder(out, options, description)
  if (before) {
    listener?.({ type: 'note', message: `${inertName(out)} is finished already.` })
    return { ...before, out, imagesPerSecond: 0 }
  }
  const store = await openChunks(work, arrays, description, options.resume ?? false)
  const startedWith = store.rows
  const total = await shardTotal(inputs, shard, signal)
  const startedAt = performance.now()
  listener?.({ type: 'phase', phase: 'embed', total, unit: 'images' })
  if (startedWith > 0)
    listener?.({ type: 'note', message: `Going on after ${startedWith} rows that are there already.` })
  const former = formerInputs(store, out)
  const images = shardImages(inputs, shard, startedWith, signal, former.compare)
  let seconds = 0
  let speed: EmbedSpeed | undefined
  const rows = embeddedRows(loaded, wanted, images, {
    ...options,
    total,
    done: startedWith,
    async afterwards(runner, sample) {
      seconds = (performance.now() - startedAt) / 1000
      listener?.({ type: 'phaseEnd', phase: 'embed' })
      if (options.speed) speed = await measureSpeed(runner, sample, { preprocessing: loaded.preprocessing, signal })
    },
  })
  for await (const block of inChunks(oneAhead(rows), chunkRows(arrays))) await store.append(block)
  former.checkAllCame()
  await checkRows(store, shard)
  const table = await finishVectors(engine, store, options, out, signal)
  await writeTable(out, table, { format, type: dtype, signal })
  const layers = table.arrays.map(({ name, columns }) => ({ name, features: columns }))
  const result = { rows: store.rows, failed: store.failed, features: layers[0]?.features ?? 0, layers }
  await writeJson(path.join(out, META), {
    format: 1,
    ...description,
    ...describeTable(table, format, dtype),
    failed: store.failed,
  })
  await store.remove()
  listener?.({ type: 'saved', path: out })
  const imagesPerSecond = (store.rows - startedWith) / seconds
  return { ...result, out, imagesPerSecond, ...(speed === undefined ? {} : { speed }) }
}

/** @throws RegraftError 'data' when there are no rows, or none with a vector; then nothing is left to go on with */
async function checkRows(store: ChunkStore, shard: Shard): Promise<void> {
  // A shard may have nothing: there may be fewer inputs than shards, or its few may be bad.
  if (shard.count > 1 || store.failed < store.rows) return
  const reason = await firstError(store)
  const { rows } = store
  await store.remove()
  if (rows === 0) throw new RegraftError('data', 'There are no pictures in the inputs.')
  throw new RegraftError('data', `None of the ${rows} inputs can be read; the first: ${reason}.`)
}

function chunkRows(arrays: readonly { readonly columns: number }[]): number {
  const columns = arrays.reduce((sum, array) => sum + array.columns, 0)
  return Math.max(1, Math.min(CHUNK_ROWS, Math.floor(CHUNK_BYTES / (4 * columns))))
}

/**
 * The same as rows, as they are computed; nothing is written.
 * @throws RegraftError as `embed`
 */
export async function* embedRows(
  model: string,
  inputs: Inputs,
  options: Omit<EmbedOptions, 'out'>,
): AsyncGenerator<EmbedRow, void, undefined> {
  const { signal, listener, shard = WHOLE } = options
  checkShard(shard)
  if (options.pca !== undefined) {
    throw new RegraftError('usage', '--pca needs all vectors before the first is written: write them to a folder.')
  }
  const { model: loaded, remarks } = await loadModel(model, options)
  for (const message of remarks) listener?.({ type: 'note', message })
  const wanted = layersOf(loaded, options)
  const total = await shardTotal(inputs, shard, signal)
  listener?.({ type: 'phase', phase: 'embed', total, unit: 'images' })
  const images = shardImages(inputs, shard, 0, signal)
  const arrays = arraysOf(wanted)
  for await (const block of embeddedRows(loaded, wanted, images, { ...options, total, done: 0 })) {
    const { rows, values } = options.l2Normalize ? normalisedBlock(block, arrays) : block
    for (const [row, { path: name, label, error }] of rows.entries()) {
      const vectors = wanted.layers.map(({ name: layer, columns }, at) => ({
        layer,
        columns,
        values: error === null ? (values[at]?.subarray(row * columns, (row + 1) * columns) ?? null) : null,
      }))
      yield { path: name, label, error, vectors }
    }
  }
  listener?.({ type: 'phaseEnd', phase: 'embed' })
}

/** Compares the inputs that are skipped on resume with those that were there before. */
function formerInputs(store: ChunkStore, out: string) {
  const blocks = store.index()[Symbol.asyncIterator]()
  const expected = store.rows
  let rows: readonly VectorRow[] = []
  let at = 0
  let came = 0
  const refuse = (problem: string) =>
    new RegraftError(
      'data',
      `${inertName(out)} cannot be gone on with: ${problem}. Give the same inputs in the same order, or begin anew (--overwrite).`,
      { file: out },
    )
  return {
    async compare({ path: name }: { readonly path: string }): Promise<void> {
      while (at === rows.length) {
        const next = await blocks.next()
        if (next.done) return
        rows = next.value
        at = 0
      }
      const before = rows[at++]?.path ?? ''
      if (before !== name) {
        throw refuse(`input ${came + 1} was ${inertName(before, 200)} and is ${inertName(name, 200)} now`)
      }
      came += 1
    },
    checkAllCame(): void {
      if (came < expected) throw refuse(`there were ${expected} inputs at least, and only ${came} came now`)
    },
  }
}

async function firstError(store: ChunkStore): Promise<string> {
  for await (const rows of store.index()) {
    for (const { path: name, error } of rows) if (error !== null) return `${inertName(name)} ${error}`
  }
  return 'unknown'
}

const ours = /^(X\..*|index\.csv|meta\.json|pca\.safetensors|unfinished)$/

/**
 * Makes the folder ready.
 * @returns what is there already, when nothing is left to do
 * @throws RegraftError 'usage' when it holds something that may not be touched
 */
async function openFolder(
  out: string,
  { overwrite = false, resume = false }: EmbedOptions,
  description: JsonObject,
): Promise<Omit<EmbedResult, 'out' | 'imagesPerSecond'> | undefined> {
  const work = path.join(out, WORK)
  const advice = (await holdsChunks(work))
    ? 'go on with what is there (--resume), or begin anew'
    : 'or replace the vectors in it'
  const names = await checkTaken(out, {
    overwrite: overwrite || resume,
    whose: "embed's",
    foreign: (_, all) => all.filter((name) => !ours.test(name) && !isLeftover(name)),
    instead: advice,
  })
  if (names.length === 0) {
    await createFolder(out)
    return undefined
  }
  // It is written last, and removed first.
  const finished = names.includes(META)
  if (resume) {
    if (!finished) return undefined
    const before = await finishedBefore(out, description)
    await removeFolder(work)
    return before
  }
  if (finished) await removeFile(path.join(out, META))
  await removeFolder(work)
  for (const name of names) if (name !== WORK && name !== META) await removeFile(path.join(out, name))
  return undefined
}

/** What a killed process left of a file that it was writing. */
function isLeftover(name: string): boolean {
  return /^\..+\.tmp-\d+-\d+$/.test(name)
}

async function finishedBefore(
  out: string,
  description: JsonObject,
): Promise<Omit<EmbedResult, 'out' | 'imagesPerSecond'>> {
  const meta = await readVectorMeta(out)
  const other = Object.keys(description).find(
    (key) => JSON.stringify(meta.json[key]) !== JSON.stringify(description[key]),
  )
  if (other !== undefined) {
    throw new RegraftError(
      'usage',
      `${inertName(out)} holds finished vectors made otherwise ('${other}' differs). Choose another folder, or replace them (--overwrite).`,
      { file: out },
    )
  }
  const { rows, failed, layers } = meta
  return { rows, failed, features: layers[0]?.features ?? 0, layers }
}

function checkShard({ index, count }: Shard): void {
  if (Number.isInteger(count) && count >= 1 && Number.isInteger(index) && index >= 1 && index <= count) return
  throw new RegraftError('usage', `Shard ${index} of ${count} is not possible: shards are counted from 1.`)
}

/** Rows put together, so that chunks do not depend on the size of batches. */
async function* inChunks(blocks: AsyncIterable<VectorBlock>, rowsPerChunk: number): AsyncGenerator<VectorBlock> {
  let rows: VectorRow[] = []
  let parts: Float32Array[][] = []
  const chunk = (): VectorBlock => {
    const values = (parts[0] ?? []).map((_, at) => joined(parts.map((part) => part[at] ?? new Float32Array())))
    const block = { rows, values }
    rows = []
    parts = []
    return block
  }
  for await (const block of blocks) {
    for (let from = 0; from < block.rows.length; ) {
      const count = Math.min(rowsPerChunk - rows.length, block.rows.length - from)
      rows.push(...block.rows.slice(from, from + count))
      parts.push(
        block.values.map((values) => {
          const columns = values.length / block.rows.length
          return values.subarray(from * columns, (from + count) * columns)
        }),
      )
      from += count
      if (rows.length === rowsPerChunk) yield chunk()
    }
  }
  if (rows.length > 0) yield chunk()
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
