// Stored vectors as something to learn from: which rows have a label, and which part each is for.
import * as path from 'node:path'
import { classesOf, oneClass } from '../data/image-folder.ts'
import { isManifest, manifestRows, type Part } from '../data/manifest.ts'
import type { DataSplit, Sample, Skipped } from '../data/sample.ts'
import { splitByDraw } from '../data/split.ts'
import { RegraftError } from '../errors.ts'
import { sha256 } from '../files/digest.ts'
import { compareCodePoints, pathFacts } from '../files/folder.ts'
import { textLines, textPieces } from '../files/pieces.ts'
import { inertName } from '../inert-text.ts'
import type { Vectors } from './head-trainer.ts'
import { matchingRows, type PathIndex, pathIndex } from './row-paths.ts'
import { openStoredVectors, type StoredVectors, storedRows } from './stored-vectors.ts'
import type { BothVectors } from './train-vectors.ts'
import { validationChoice } from './validation-choice.ts'

/** Where labels and parts come from; see `HeadOptions`. */
export interface HeadDataOptions {
  readonly vectors: string
  readonly labels: string | null
  /** A column of numbers in `labels`, or 'numeric' where the labels are numbers; null for classes. */
  readonly target: string | null
  readonly val: string | null
  readonly trainList: string | null
  readonly test: string | null
  readonly seed: number
}

export interface HeadData {
  readonly stored: StoredVectors
  readonly data: DataSplit
  readonly vectors: BothVectors
}

const USUAL_VALIDATION = 0.2

/** A row of vectors and what is known of it. */
interface Row {
  readonly path: string
  readonly label: string | null
  /** Further labels. */
  readonly others?: readonly string[]
  readonly values: Float32Array
  /** Why it cannot be used. */
  readonly problem: string | undefined
  readonly part?: Part | undefined
  readonly group?: string | undefined
}

/**
 * Reads vectors and divides them. What embed could not read, what is not finite and what has no label is left out and named.
 * @throws RegraftError 'data' when there are no labels, one class only, or nothing to learn from or to check with; 'usage'
 */
export async function readHeadData(options: HeadDataOptions): Promise<HeadData> {
  const { seed } = options
  const stored = await openStoredVectors(options.vectors)
  const rows = await labelled(await rowsOf(stored), options)
  const index = pathIndex(rows.map((row) => row.path))
  const parts = rows.map((row): Part | undefined => row.part)
  const skipped: Skipped[] = []
  const choice = validationChoice(options.val)
  const elsewhere = new Map<Part, Row[]>()
  for (const [part, where] of [
    ['val', typeof choice === 'string' ? choice : undefined],
    ['test', options.test ?? undefined],
  ] as const) {
    if (where === undefined) continue
    if (await isVectors(where)) elsewhere.set(part, await otherRows(stored, where))
    else for (const row of await listedRows(where, index)) parts[row] = part
  }
  const listed = options.trainList === null ? undefined : new Set(await listedRows(options.trainList, index))
  const drawn = typeof choice === 'number' || !(parts.includes('val') || elsewhere.has('val'))
  if (typeof choice === 'number') for (const [row, part] of parts.entries()) if (part === 'val') parts[row] = 'train'

  const ordered = [...rows.keys()].sort((a, b) => compareCodePoints(rows[a]?.path ?? '', rows[b]?.path ?? '') || a - b)
  const chosen: { row: Row; part: Part }[] = []
  for (const at of ordered) {
    const row = rows[at]
    const part = parts[at] ?? 'train'
    if (row === undefined || (part === 'train' && listed !== undefined && !listed.has(at))) continue
    chosen.push({ row, part })
  }
  for (const [part, others] of elsewhere) chosen.push(...others.map((row) => ({ row, part })))

  const learnt = chosen.filter(({ part, row }) => part === 'train' && row.label !== null)
  if (learnt.length === 0) throw noLabels(stored, options.labels)
  const several = options.target === null && chosen.some(({ row }) => row.others !== undefined)
  const kind = options.target !== null ? 'numbers' : several ? 'labels' : undefined
  const classes =
    options.target === null
      ? await classesOf(
          learnt.flatMap(({ row }) => labelsOf(row).map((label) => ({ path: row.path, file: row.path, label }))),
          options.vectors,
        )
      : [options.target === 'numeric' ? 'value' : options.target]
  if (classes.length === 1 && kind === undefined) throw oneClass(options.vectors, classes)
  const numberOf = new Map(classes.map((name, label) => [name, label]))
  const targets = new Map<Sample, readonly number[]>()
  const values = new Map<Sample, Float32Array>()
  const samplesOf = (wanted: Part): Sample[] =>
    chosen.flatMap(({ row, part }) => {
      if (part !== wanted) return []
      const meant = meaningOf(row, kind, numberOf)
      if (row.problem !== undefined || typeof meant === 'string') {
        skipped.push({ path: row.path, reason: row.problem ?? String(meant) })
        return []
      }
      const label = kind === undefined ? (meant[0] ?? 0) : 0
      const sample: Sample = {
        path: row.path,
        file: path.resolve(row.path),
        label,
        contents: { bytes: row.values.byteLength, sha256: sha256(bytesOf(row.values)) },
        ...(row.group === undefined ? {} : { group: row.group }),
      }
      values.set(sample, row.values)
      targets.set(sample, meant)
      return [sample]
    })
  const test = samplesOf('test')
  const given = { train: samplesOf('train'), validation: samplesOf('val') }
  const fraction = typeof choice === 'number' ? choice : USUAL_VALIDATION
  const { train, validation } = drawn ? await splitByDraw(given.train, { from: 0, to: fraction }, seed) : given
  checkEnough(kind === undefined ? classes : [], train, validation, skipped)
  const notes =
    skipped.length > 0 ? [`${skipped.length} of ${chosen.length} rows are left out; bad.jsonl says why.`] : []
  const vectorsOf = (samples: readonly Sample[]): Vectors => ({
    ...joined(samples, values, stored.matrix.columns),
    ...(kind === undefined ? {} : { targets: { kind, values: targetsOf(samples, targets, kind, classes.length) } }),
  })
  return {
    stored,
    data: {
      root: stored.folder,
      classes,
      train,
      validation,
      test,
      skipped,
      unusable: skipped,
      ignored: [],
      notes,
    },
    vectors: {
      train: vectorsOf(train),
      validation: vectorsOf(validation),
      ...(test.length > 0 ? { test: vectorsOf(test) } : {}),
      badTrain: new Set(),
      badValidation: new Set(),
    },
  }
}

function labelsOf({ label, others = [] }: Row): readonly string[] {
  return label === null ? [] : [label, ...others]
}

/** The number of a row, or the numbers of its labels; else why there is none. */
function meaningOf(
  row: Row,
  kind: 'numbers' | 'labels' | undefined,
  numberOf: ReadonlyMap<string, number>,
): readonly number[] | string {
  const labels = labelsOf(row)
  const [first] = labels
  if (first === undefined) return kind === 'numbers' ? 'has no number' : 'has no label'
  if (kind === 'numbers') {
    const number = first.trim() === '' ? Number.NaN : Number(first)
    return Number.isFinite(number) ? [number] : 'has no number'
  }
  const known = labels.flatMap((label) => numberOf.get(label) ?? [])
  return known.length < labels.length ? 'is of an unknown class' : known
}

/** [samples, outputs]: their numbers, or 1 for each of their labels. */
function targetsOf(
  samples: readonly Sample[],
  targets: ReadonlyMap<Sample, readonly number[]>,
  kind: 'numbers' | 'labels',
  outputs: number,
): Float32Array {
  const values = new Float32Array(samples.length * outputs)
  for (const [row, sample] of samples.entries()) {
    const own = targets.get(sample) ?? []
    if (kind === 'numbers') values.set(own, row * outputs)
    else for (const label of own) values[row * outputs + label] = 1
  }
  return values
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

async function rowsOf(stored: StoredVectors): Promise<Row[]> {
  const { rows, columns, readRows } = stored.matrix
  const all = await readRows(0, rows)
  const result: Row[] = []
  for await (const { path: name, label, error } of storedRows(stored)) {
    const values = all.subarray(result.length * columns, (result.length + 1) * columns)
    const finite = values.every(Number.isFinite)
    const problem =
      error === null ? (finite ? undefined : 'has a vector with values that are not finite numbers') : error
    result.push({ path: name, label, values, problem })
  }
  return result
}

/** Labels, parts and groups from a manifest, where one was given. */
async function labelled(rows: readonly Row[], { labels, target }: HeadDataOptions): Promise<readonly Row[]> {
  const column = target === 'numeric' ? null : target
  if (labels === null) {
    if (column === null) return rows
    throw new RegraftError(
      'usage',
      `--target ${inertName(column, 100)} is a column of the file that --labels names. Give it, or say --target numeric where the labels are numbers.`,
    )
  }
  const index = pathIndex(rows.map((row) => row.path))
  const result = rows.map((row): Row => ({ ...row, label: null }))
  let found = 0
  for await (const { path: name, file, line, label, split, group } of manifestRows(labels, column ?? undefined)) {
    const matches = matchingRows(index, name, file, labels)
    if (matches.length > 0) found += 1
    for (const at of matches) {
      const row = result[at]
      if (row === undefined) continue
      // The column that is asked for comes in the place of the group.
      const own = column === null ? label : group
      if (row.label === null) {
        result[at] = { ...row, label: own ?? null, part: split, ...(column === null ? { group } : {}) }
        continue
      }
      if (own === undefined || labelsOf(row).includes(own)) continue
      if (target !== null) {
        throw new RegraftError(
          'data',
          `${inertName(labels)}, line ${line}: '${inertName(name, 200)}' has the number '${inertName(row.label, 100)}' already.`,
          { file: labels, where: `line ${line}` },
        )
      }
      result[at] = { ...row, others: [...(row.others ?? []), own] }
    }
  }
  if (found === 0) {
    throw new RegraftError(
      'data',
      `${inertName(labels)} names none of the ${rows.length} rows. Its paths are those of index.csv (the first is '${inertName(rows[0]?.path ?? '', 200)}'), or their ends.`,
      { file: labels },
    )
  }
  return result
}

async function isVectors(where: string): Promise<boolean> {
  return (await pathFacts(where))?.kind === 'folder' || where.endsWith('.npy')
}

/** Rows of other vectors, made in the same way. */
async function otherRows(stored: StoredVectors, where: string): Promise<Row[]> {
  const other = await openStoredVectors(where)
  const facts = ({ meta, matrix, layer }: StoredVectors) =>
    JSON.stringify([
      matrix.columns,
      meta?.json['model'] ?? null,
      meta?.layers[layer]?.name ?? null,
      meta?.json['preprocessing'] ?? null,
      meta?.json['pca'] ?? null,
      meta?.json['l2_normalized'] ?? null,
    ])
  if (facts(other) === facts(stored) && (stored.meta?.json['pca'] ?? null) === null) return await rowsOf(other)
  throw new RegraftError(
    'usage',
    `The vectors in ${inertName(where)} were made in another way than those in ${inertName(stored.folder)}. Embed both with the same model and options, without --pca.`,
    { file: where },
  )
}

/** Rows that a list or a manifest names. @throws RegraftError 'data' for a path that is no row */
async function listedRows(file: string, index: PathIndex): Promise<number[]> {
  const rows: number[] = []
  let missing = 0
  let first = ''
  for await (const name of pathsOf(file)) {
    const matches = matchingRows(index, name, path.resolve(path.dirname(file), name), file)
    rows.push(...matches)
    if (matches.length > 0) continue
    missing += 1
    if (missing === 1) first = name
  }
  if (missing > 0) {
    throw new RegraftError(
      'data',
      `${inertName(file)}: ${missing} of its paths are no rows of the vectors; the first: '${inertName(first, 200)}'.`,
      { file },
    )
  }
  if (rows.length === 0) throw new RegraftError('data', `${inertName(file)}: the list names nothing.`, { file })
  return rows
}

async function* pathsOf(file: string): AsyncGenerator<string> {
  if (isManifest(file)) {
    for await (const row of manifestRows(file)) yield row.path
    return
  }
  for await (const { text } of textLines(textPieces(file, { code: 'data' }))) {
    const name = text.replace(/\r$/, '').replace(/^(\.\/+)+/, '')
    if (name !== '') yield name
  }
}

function joined(samples: readonly Sample[], values: ReadonlyMap<Sample, Float32Array>, width: number): Vectors {
  const all = new Float32Array(samples.length * width)
  for (const [at, sample] of samples.entries()) all.set(values.get(sample) ?? new Float32Array(), at * width)
  return {
    values: all,
    width,
    labels: Int32Array.from(samples, ({ label }) => label),
    paths: samples.map((sample) => sample.path),
  }
}

function noLabels({ folder }: StoredVectors, labels: string | null): RegraftError {
  return new RegraftError(
    'data',
    labels === null
      ? `No row of ${inertName(folder)} has a label: the label column of index.csv is empty or there is none.\nEmbed a folder with a folder per class, or give the labels with --labels FILE (path,label).`
      : `${inertName(labels)} has no labels for the training rows. Its first line is to name the columns path and label.`,
    { file: labels ?? folder },
  )
}

function checkEnough(
  classes: readonly string[],
  train: readonly Sample[],
  validation: readonly Sample[],
  skipped: readonly Skipped[],
): void {
  const present = new Set(train.map(({ label }) => label))
  const empty = classes.filter((_, label) => !present.has(label))
  const left =
    skipped.length > 0
      ? ` ${skipped.length} rows are left out; the first: ${inertName(skipped[0]?.path ?? '', 200)} ${skipped[0]?.reason}.`
      : ''
  if (empty.length > 0) {
    const named = empty.slice(0, 5).map((name) => inertName(name, 100))
    const more = empty.length > 5 ? ` and ${empty.length - 5} more` : ''
    throw new RegraftError(
      'data',
      `No usable training vector in ${empty.length === 1 ? 'class' : 'the classes'} ${named.join(', ')}${more}.${left}`,
    )
  }
  if (validation.length === 0)
    throw new RegraftError(
      'data',
      `There is no usable vector to validate with.${left} Give --val a larger fraction or a list.`,
    )
}
