// The verb `merge`: shards of `embed` to one table of vectors.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { writeJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { type OpenNpy, openNpy } from '../vectors/npy.ts'
import type { VectorBlock, VectorRow, VectorTable } from '../vectors/vector-table.ts'
import { checkType, writeTable } from '../vectors/write-table.ts'
import { checkFinishing, describeFinishing, finishVectors } from './finish-vectors.ts'
import type { MergeOptions, MergeResult } from './options.ts'
import { indexRows } from './stored-vectors.ts'
import { emptiedFolder, type FolderRules } from './taken-folder.ts'
import { describeTable, readVectorMeta, type VectorMeta } from './vector-meta.ts'

const BLOCK_ROWS = 256

interface ShardFolder {
  readonly folder: string
  readonly meta: VectorMeta
  readonly index: number
  readonly rows: number
  readonly matrices: readonly OpenNpy[]
}

/** What shards must have in common. */
const common = [
  'version',
  'model',
  'layers',
  'columns',
  'pool',
  'pca',
  'l2_normalized',
  'preprocessing',
  'kernels',
  'dtype',
]

/**
 * Puts shards together in the order of their inputs, as one call without shards would have written them. They are read as `.npy`, row
 * by row, so that their size does not matter.
 * @throws RegraftError 'data' for shards that are missing, given twice, unfinished, or not of one piece
 */
export async function merge(folders: readonly string[], options: MergeOptions): Promise<MergeResult> {
  const { engine, out, format = 'npy', signal, listener } = options
  checkFinishing(options)
  const shards: ShardFolder[] = []
  for (const folder of folders) shards.push(await openShard(folder))
  const [first] = shards
  if (first === undefined) throw new RegraftError('usage', 'There are no shards to merge.')
  const count = checkTogether(shards, first)
  shards.sort((a, b) => a.index - b.index)
  const { dtype, layers, json } = first.meta
  checkType(format, dtype)
  if (options.l2Normalize && json['l2_normalized'] === true) {
    throw new RegraftError('usage', '--l2-normalize: these vectors have length 1 already.')
  }
  const arrays = layers.map(({ name, features }) => ({ name, columns: features }))
  const rows = shards.reduce((sum, shard) => sum + shard.rows, 0)
  await emptiedFolder(out, rulesOf(options.overwrite ?? false))
  listener?.({ type: 'phase', phase: 'embed', total: rows, unit: 'images' })
  const widths = arrays.map(({ columns }) => columns)
  const whole: VectorTable = { arrays, rows, blocks: () => interleaved(shards, widths) }
  const table = await finishVectors(engine, whole, options, out, signal)
  await writeTable(out, table, { format, type: dtype, signal })
  const failed = shards.reduce((sum, { meta }) => sum + meta.failed, 0)
  await writeJson(path.join(out, 'meta.json'), {
    ...json,
    ...(json['l2_normalized'] === true ? {} : describeFinishing(options)),
    shard: { index: 1, count: 1 },
    ...describeTable(table, format, dtype),
    failed,
  })
  listener?.({ type: 'phaseEnd', phase: 'embed' })
  listener?.({ type: 'saved', path: out })
  return { out, rows, failed, shards: count }
}

const ours = /^(X\..*|index\.csv|meta\.json|pca\.safetensors)$/

function rulesOf(overwrite: boolean): FolderRules {
  const foreign = (_: string, names: readonly string[]) => names.filter((name) => !ours.test(name))
  return { overwrite, whose: "merge's", foreign, instead: 'or replace the vectors in it' }
}

async function openShard(folder: string): Promise<ShardFolder> {
  const refuse = (problem: string) => new RegraftError('data', `${inertName(folder)} ${problem}`, { file: folder })
  const meta = await readVectorMeta(folder)
  if (!meta.files.every((name) => name.endsWith('.npy'))) {
    throw refuse('is not in the format npy. Shards are merged as .npy; merge writes the format you want.')
  }
  const matrices: OpenNpy[] = []
  for (const name of meta.files) matrices.push(await openNpy(path.join(folder, name)))
  const { rows } = meta
  const fits = matrices.every((matrix, at) => matrix.rows === rows && matrix.columns === meta.layers[at]?.features)
  if (!fits) throw refuse('holds vectors of another shape than its meta.json says.')
  return { folder, meta, index: meta.shard.index, rows, matrices }
}

/** @returns how many shards there are */
function checkTogether(shards: readonly ShardFolder[], first: ShardFolder): number {
  const refuse = (problem: string) => new RegraftError('data', `These shards do not belong together: ${problem}.`)
  const countOf = ({ meta }: ShardFolder) => meta.shard.count
  const count = countOf(first)
  for (const shard of shards) {
    const key = common.find((name) => JSON.stringify(shard.meta.json[name]) !== JSON.stringify(first.meta.json[name]))
    if (key !== undefined)
      throw refuse(`'${key}' differs between ${inertName(first.folder)} and ${inertName(shard.folder)}`)
    if (countOf(shard) !== count)
      throw refuse(`${inertName(shard.folder)} is one of ${countOf(shard)}, others of ${count}`)
    const twin = shards.find((other) => other !== shard && other.index === shard.index)
    if (twin) throw refuse(`${inertName(shard.folder)} and ${inertName(twin.folder)} are both number ${shard.index}`)
  }
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter(
    (index) => !shards.some((shard) => shard.index === index),
  )
  if (missing.length > 0)
    throw refuse(`of ${count}, ${missing.slice(0, 10).join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing`)
  const total = shards.reduce((sum, { rows }) => sum + rows, 0)
  for (const { folder, index, rows } of shards) {
    const expected = Math.ceil((total - index + 1) / count)
    if (rows !== expected)
      throw refuse(`${inertName(folder)} has ${rows} rows where ${expected} are expected; were the inputs the same?`)
  }
  return count
}

/** The rows of all shards in the order of their inputs: one of each in turn. */
async function* interleaved(shards: readonly ShardFolder[], columns: readonly number[]): AsyncGenerator<VectorBlock> {
  const readers = shards.map(shardRows)
  let rows: VectorRow[] = []
  let values = columns.map((width) => new Float32Array(BLOCK_ROWS * width))
  const block = (): VectorBlock => {
    const full = { rows, values: values.map((array, at) => array.subarray(0, rows.length * (columns[at] ?? 0))) }
    rows = []
    values = columns.map((width) => new Float32Array(BLOCK_ROWS * width))
    return full
  }
  for (let ended = false; !ended; ) {
    for (const reader of readers) {
      const next = await reader.next()
      // Shards differ by one row at most, the first being the longest.
      if (next.done) {
        ended = true
        break
      }
      for (const [at, vector] of next.value.vectors.entries()) values[at]?.set(vector, rows.length * (columns[at] ?? 0))
      rows.push(next.value.row)
      if (rows.length === BLOCK_ROWS) yield block()
    }
  }
  if (rows.length > 0) yield block()
}

async function* shardRows({ folder, rows, matrices }: ShardFolder): AsyncGenerator<{
  readonly row: VectorRow
  readonly vectors: readonly Float32Array[]
}> {
  const file = path.join(folder, 'index.csv')
  const index = indexRows(file)
  for (let first = 0; first < rows; first += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, rows - first)
    const blocks: Float32Array[] = []
    for (const matrix of matrices) blocks.push(await matrix.readRows(first, count))
    for (let row = 0; row < count; row++) {
      const next = await index.next()
      if (next.done) throw new RegraftError('data', `${inertName(file)} ends before its ${rows} rows.`, { file })
      yield {
        row: next.value,
        vectors: blocks.map((block, at) => {
          const width = matrices[at]?.columns ?? 0
          return block.subarray(row * width, (row + 1) * width)
        }),
      }
    }
  }
}
