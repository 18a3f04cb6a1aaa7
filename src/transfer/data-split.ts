// The verb `data split`: a division of a data set as a manifest, to be trained on here or elsewhere.
import * as path from 'node:path'
import { loadData } from '../data/load-data.ts'
import { isManifest } from '../data/manifest.ts'
import type { Sample } from '../data/sample.ts'
import { foldOf } from '../data/split.ts'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { inertName } from '../inert-text.ts'
import { csvText } from '../vectors/csv.ts'
import type { DataSplitOptions, DataSplitResult } from './data-options.ts'
import { validationChoice } from './validation-choice.ts'

/**
 * Writes a manifest with the columns path, label, split, and as they apply fold, group and weight; its paths are relative to its own
 * folder. With folds every picture that is not for the test has the number of the one fold in which it validates.
 * @throws RegraftError as `train` would about the data; 'usage' for a name that is no manifest's
 */
export async function splitData(data: readonly string[], options: DataSplitOptions): Promise<DataSplitResult> {
  const { out, val, trainList, test, groupBy, dedupe, folds, signal, listener } = options
  const seed = options.seed ?? 0
  if (!isManifest(out)) {
    throw new RegraftError(
      'usage',
      `--out: ${inertName(out)} ends with neither .csv nor .jsonl, so the format is not known.`,
    )
  }
  listener?.({ type: 'phase', phase: 'scan', total: 0, unit: 'images' })
  const split = await loadData(data, {
    // With folds nothing is held back: a picture validates in one of them.
    validation: folds === undefined ? validationChoice(val) : 0,
    trainList,
    test,
    groupBy,
    dedupe,
    seed,
    emptyFolders: 'skip',
    signal,
    onProgress: (done, total) => listener?.({ type: 'progress', phase: 'check', done, total }),
  })
  for (const { path: file, reason } of split.skipped) listener?.({ type: 'bad', path: file, reason })
  const folder = path.dirname(path.resolve(out))
  const parts: readonly (readonly [string, readonly Sample[]])[] = [
    ['train', split.train],
    ['val', split.validation],
    ['test', split.test],
  ]
  const rows = parts.flatMap(([part, samples]) =>
    samples.map((sample) => ({
      path: path.relative(folder, sample.file).split(path.sep).join('/'),
      label: split.classes[sample.label] ?? '',
      split: part,
      ...(folds === undefined || part === 'test' ? {} : { fold: foldOf(sample, folds, seed) }),
      ...(sample.group === undefined ? {} : { group: sample.group }),
      ...(sample.weight === undefined ? {} : { weight: sample.weight }),
    })),
  )
  const text =
    path.extname(out).toLowerCase() === '.csv' ? csvTable(rows) : rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  await writeFileAtomic(out, text, { signal })
  listener?.({ type: 'saved', path: out })
  return {
    out,
    train: split.train.length,
    validation: split.validation.length,
    test: split.test.length,
    leftOut: split.skipped.length,
    notes: split.notes,
  }
}

type Row = Readonly<Record<string, string | number>>

/** The columns that any row has. */
function csvTable(rows: readonly Row[]): string {
  const columns = ['path', 'label', 'split', 'fold', 'group', 'weight'].filter((column) =>
    rows.some((row) => column in row),
  )
  const lines = rows.map((row) => columns.map((column) => csvText(String(row[column] ?? ''))).join(','))
  return `${[columns.join(','), ...lines].join('\n')}\n`
}
