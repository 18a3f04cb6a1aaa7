import { dirname, resolve } from 'node:path'
import { RegraftError } from '../errors.ts'
import { textLines, textPieces } from '../files/pieces.ts'
import { parseStrictJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { csvRows, plainText } from '../vectors/csv.ts'
import { extensionOf } from './walk-files.ts'

/** One picture as a manifest names it. */
export interface ManifestRow {
  /** As written. */
  readonly path: string
  /** Absolute; a relative path starts at the manifest's folder. */
  readonly file: string
  readonly line: number
  readonly label?: string
  readonly split?: Part
  readonly group?: string
  readonly weight?: number
}

/** The parts of a data set. */
export type Part = 'train' | 'val' | 'test'

const extensions: ReadonlySet<string> = new Set(['csv', 'jsonl', 'ndjson'])

/** Whether a file is a manifest by its name: CSV with a header, or JSON Lines. */
export function isManifest(path: string): boolean {
  return extensions.has(extensionOf(path))
}

const parts: ReadonlyMap<string, Part> = new Map([
  ['train', 'train'],
  ['training', 'train'],
  ['val', 'val'],
  ['valid', 'val'],
  ['validation', 'val'],
  ['test', 'test'],
])

/**
 * The rows of a manifest: CSV whose header names `path` and, if they are there, `label`, `split`, `group` and `weight`; or JSON
 * Lines with these keys. Other columns are left alone. Text that regraft neutralised for spreadsheets comes back as it was.
 * @param groupColumn  the column that says what belongs together, instead of `group`
 * @throws RegraftError 'data' naming the line
 */
export async function* manifestRows(file: string, groupColumn?: string): AsyncGenerator<ManifestRow, void, undefined> {
  const folder = dirname(resolve(file))
  const fields = extensionOf(file) === 'csv' ? csvFields(file, groupColumn) : jsonFields(file)
  for await (const { line, get } of fields) {
    const where = `line ${line}`
    const refuse = (problem: string) =>
      new RegraftError('data', `${inertName(file)}, ${where}: ${problem}.`, { file, where })
    const path = get('path')
    if (path === undefined || path === '') throw refuse('there is no path')
    const split = get('split')
    const part = split === undefined || split === '' ? undefined : parts.get(split.toLowerCase())
    if (split !== undefined && split !== '' && part === undefined) {
      throw refuse(`split is '${inertName(split, 100)}'; train, val and test are known`)
    }
    const weight = get('weight')
    const amount = weight === undefined || weight === '' ? undefined : Number(weight)
    if (amount !== undefined && !(Number.isFinite(amount) && amount >= 0)) {
      throw refuse(`weight is '${inertName(weight ?? '', 100)}', no number from 0 upwards`)
    }
    const label = get('label')
    const group = get(groupColumn ?? 'group')
    if (groupColumn !== undefined && group === undefined) throw refuse(`there is no '${inertName(groupColumn, 100)}'`)
    yield {
      path,
      file: resolve(folder, path),
      line,
      ...(label === undefined || label === '' ? {} : { label }),
      ...(part === undefined ? {} : { split: part }),
      ...(group === undefined || group === '' ? {} : { group }),
      ...(amount === undefined ? {} : { weight: amount }),
    }
  }
}

/** The names of a manifest's columns; of JSON Lines the keys of the first row. */
export async function manifestColumns(file: string): Promise<readonly string[]> {
  if (extensionOf(file) === 'csv') {
    for await (const { cells } of csvRows(textPieces(file, { code: 'data' }), file)) return cells
    return []
  }
  for await (const { text, line } of jsonLines(file)) return [...jsonObject(text, line, file).keys()]
  return []
}

/** What a row says, by column; undefined where there is no such column. */
interface Fields {
  readonly line: number
  readonly get: (column: string) => string | undefined
}

async function* csvFields(file: string, groupColumn: string | undefined): AsyncGenerator<Fields> {
  let columns: ReadonlyMap<string, number> | undefined
  for await (const { cells, line } of csvRows(textPieces(file, { code: 'data' }), file)) {
    if (columns === undefined) {
      columns = readHeader(cells, file, groupColumn)
      continue
    }
    const known = columns
    yield {
      line,
      get(column) {
        const at = known.get(column)
        return at === undefined ? undefined : plainText(cells[at] ?? '')
      },
    }
  }
  if (columns === undefined) throw new RegraftError('data', `${inertName(file)}: the manifest is empty.`, { file })
}

function readHeader(
  cells: readonly string[],
  file: string,
  groupColumn: string | undefined,
): ReadonlyMap<string, number> {
  const columns = new Map(cells.map((name, at) => [name, at]))
  const refuse = (problem: string) =>
    new RegraftError('data', `${inertName(file)}: ${problem}`, { file, where: 'line 1' })
  if (columns.size < cells.length) {
    const twice = cells.find((name, at) => cells.indexOf(name) < at) ?? ''
    throw refuse(`the column '${inertName(twice, 100)}' is there twice.`)
  }
  for (const wanted of ['path', ...(groupColumn === undefined ? [] : [groupColumn])]) {
    if (columns.has(wanted)) continue
    const near = nearestName(wanted, cells)
    const meant = near === undefined ? '' : ` Did you mean '${inertName(near, 100)}'?`
    const separated = cells.length === 1 && /[;\t]/.test(cells[0] ?? '') ? ' Cells are separated by commas.' : ''
    const names = cells.slice(0, 20).map((name) => `'${inertName(name, 100)}'`)
    throw refuse(
      `there is no column '${inertName(wanted, 100)}' in its first line, which has ${names.join(', ')}.${separated}${meant}\n` +
        'A manifest begins with a line such as path,label and may have split, group and weight.',
    )
  }
  return columns
}

async function* jsonFields(file: string): AsyncGenerator<Fields> {
  let empty = true
  for await (const { text, line } of jsonLines(file)) {
    empty = false
    const row = jsonObject(text, line, file)
    yield {
      line,
      get(column) {
        const value = row.get(column)
        if (value === undefined || value === null) return undefined
        if (typeof value === 'string' || typeof value === 'number') return String(value)
        throw new RegraftError(
          'data',
          `${inertName(file)}, line ${line}: ${inertName(column, 100)} is neither text nor a number.`,
          {
            file,
            where: `line ${line}`,
          },
        )
      },
    }
  }
  if (empty) throw new RegraftError('data', `${inertName(file)}: the manifest is empty.`, { file })
}

async function* jsonLines(file: string): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  try {
    for await (const item of textLines(textPieces(file, { code: 'data' }))) if (item.text.trim() !== '') yield item
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new RegraftError('data', `${inertName(file)}: ${cause.message}.`, { file, cause })
    throw cause
  }
}

function jsonObject(text: string, line: number, file: string): ReadonlyMap<string, unknown> {
  const value = parseStrictJson(text, { file: `${file}, line ${line}`, code: 'data', allowProtoKey: true })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RegraftError(
      'data',
      `${inertName(file)}, line ${line}: expected an object such as {"path":"1.jpg","label":"rose"}.`,
      {
        file,
        where: `line ${line}`,
      },
    )
  }
  return new Map(Object.entries(value))
}
