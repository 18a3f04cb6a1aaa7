// Vectors that embed has written, as other verbs read them.
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { textPieces } from '../files/pieces.ts'
import { inertName } from '../inert-text.ts'
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
  if (!file.endsWith('.npy')) {
    throw new RegraftError(
      'data',
      `${inertName(where)} holds ${inertName(file)}; this needs vectors as .npy (embed --format npy).`,
      { file: where },
    )
  }
  if (others.length > 0) {
    throw new RegraftError(
      'usage',
      `${inertName(where)} holds vectors of several layers. Name the file: ${inertName(meta.files.join(', '))}.`,
    )
  }
  return { folder: where, matrix: await openNpy(path.join(where, file)), meta, layer: 0 }
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
