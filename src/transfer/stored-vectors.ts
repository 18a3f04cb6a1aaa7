// Vectors that embed has written, as other verbs read them.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { textLines, textPieces } from '../files/pieces.ts'
import { isJsonObject, parseStrictJson } from '../files/strict-json.ts'
import { openCheckpoint } from '../formats/index.ts'
import { inertName } from '../inert-text.ts'
import { formatShape } from '../tensor/shape.ts'
import { csvRows, plainText } from '../vectors/csv.ts'
import { type OpenNpy, openNpy } from '../vectors/npy.ts'
import type { VectorRow } from '../vectors/vector-table.ts'
import { readVectorMeta, type VectorMeta } from './vector-meta.ts'

export interface StoredVectors {
  readonly folder: string
  readonly matrix: OpenNpy
  /** Absent for a matrix that embed did not write. */
  readonly meta: VectorMeta | undefined
  /** Number of the layer among those of `meta`. */
  readonly layer: number
}

/**
 * Opens vectors by their folder, or by their `.npy` file, which need not be embed's.
 * @throws RegraftError 'data', 'usage' for a folder with several layers
 */
export async function openStoredVectors(where: string): Promise<StoredVectors> {
  const facts = await pathFacts(where)
  if (facts === undefined) throw new RegraftError('data', `${inertName(where)} does not exist.`, { file: where })
  if (facts.kind !== 'folder') {
    const folder = path.dirname(where)
    const described = (await pathFacts(path.join(folder, 'meta.json'))) !== undefined
    const meta = described ? await readVectorMeta(folder) : undefined
    const layer = meta?.files.indexOf(path.basename(where)) ?? -1
    return { folder, matrix: await openNpy(where), meta: layer < 0 ? undefined : meta, layer }
  }
  const meta = await readVectorMeta(where)
  const [file = '', ...others] = meta.files
  if (others.length > 0) {
    throw new RegraftError(
      'usage',
      `${inertName(where)} holds vectors of several layers. Name the file: ${inertName(meta.files.join(', '))}.`,
    )
  }
  return { folder: where, matrix: await openMatrix(path.join(where, file), meta), meta, layer: 0 }
}

/** A file of vectors of one layer, in whatever format embed wrote it, but for Parquet. */
async function openMatrix(file: string, meta: VectorMeta): Promise<OpenNpy> {
  if (file.endsWith('.npy')) return await openNpy(file)
  const refuse = (problem: string) => new RegraftError('data', `${inertName(file)} ${problem}`, { file })
  const [layer, ...more] = meta.layers
  if (layer === undefined || more.length > 0)
    throw refuse('holds vectors of several layers in one file. Embed one layer, or with --format npy.')
  const columns = layer.features
  if (file.endsWith('.npz') || file.endsWith('.safetensors')) {
    const { shape, data } = await (await openCheckpoint(file)).read('X')
    if (shape.length !== 2 || shape[0] !== meta.rows || shape[1] !== columns)
      throw refuse(`holds ${formatShape(shape)}; meta.json beside it says ${formatShape([meta.rows, columns])}.`)
    return inMemory(data, columns)
  }
  if (file.endsWith('.csv') || file.endsWith('.jsonl')) {
    const values = new Float32Array(meta.rows * columns)
    let row = 0
    for await (const vector of file.endsWith('.csv') ? csvVectors(file) : jsonVectors(file)) {
      if (vector.length !== columns || row === meta.rows)
        throw refuse(`does not have ${meta.rows} rows of ${columns} values, as meta.json beside it says.`)
      values.set(vector, row * columns)
      row += 1
    }
    if (row !== meta.rows) throw refuse(`has ${row} rows; meta.json beside it says ${meta.rows}.`)
    return inMemory(values, columns)
  }
  throw refuse('cannot be read here. Write the vectors with --format npy, npz, safetensors, csv or jsonl.')
}

function inMemory(values: Float32Array, columns: number): OpenNpy {
  return {
    rows: values.length / columns,
    columns,
    type: 'float32',
    readRows: async (first, count) => values.slice(first * columns, (first + count) * columns),
  }
}

/** Rows as `textPieces` writes them; empty cells are NaN. */
async function* csvVectors(file: string): AsyncGenerator<ArrayLike<number>, void, undefined> {
  const lines = csvRows(piecesOf(file), file)
  await lines.next()
  for await (const { cells } of lines) yield cells.slice(4).map((cell) => (cell === '' ? Number.NaN : Number(cell)))
}

async function* jsonVectors(file: string): AsyncGenerator<ArrayLike<number>, void, undefined> {
  let width = 0
  let waiting = 0
  for await (const { text, line } of textLines(piecesOf(file))) {
    if (text === '') continue
    const row = parseStrictJson(text, { file: `${file}, line ${line}`, code: 'data' })
    const vector = isJsonObject(row) ? row['vector'] : undefined
    if (vector === null) {
      // How long it would be is known with the first that is there.
      if (width === 0) waiting += 1
      else yield new Float32Array(width).fill(Number.NaN)
      continue
    }
    if (!Array.isArray(vector))
      throw new RegraftError('data', `${inertName(file)}, line ${line}: there is no 'vector'.`, { file })
    width = vector.length
    for (; waiting > 0; waiting--) yield new Float32Array(width).fill(Number.NaN)
    yield vector.map((value) => (typeof value === 'number' ? value : Number.NaN))
  }
}

function piecesOf(file: string): AsyncIterable<string> {
  return textPieces(file, { code: 'data' })
}

/**
 * What `index.csv` says of the rows, in their order; where there is none, the number of the row is its path.
 * @throws RegraftError 'data' when it does not fit the vectors
 */
export async function* storedRows({ folder, matrix }: StoredVectors): AsyncGenerator<VectorRow, void, undefined> {
  const file = path.join(folder, 'index.csv')
  if ((await pathFacts(file)) === undefined) {
    for (let row = 0; row < matrix.rows; row++) yield { path: String(row), label: null, error: null }
    return
  }
  let rows = 0
  for await (const row of indexRows(file)) {
    yield row
    rows += 1
  }
  if (rows === matrix.rows) return
  throw new RegraftError('data', `${inertName(file)} has ${rows} rows, the vectors beside it ${matrix.rows}.`, { file })
}

/** The rows of an `index.csv`. */
export async function* indexRows(file: string): AsyncGenerator<VectorRow, void, undefined> {
  const lines = csvRows(textPieces(file, { code: 'data' }), file)
  await lines.next()
  for await (const { cells } of lines) {
    const [, name = '', label = '', error = ''] = cells.map(plainText)
    yield { path: name, label: label === '' ? null : label, error: error === '' ? null : error }
  }
}
