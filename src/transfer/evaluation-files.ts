// An evaluation as files: numbers for programs, pictures for people. A report can be made of them later.
import * as path from 'node:path'
import { type Loadable, loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { createFolder } from '../files/folder.ts'
import { writeJson } from '../files/strict-json.ts'
import { calibrationSvg } from '../report/calibration-chart.ts'
import { confusionSvg } from '../report/confusion-chart.ts'
import { contactSheetSvg, type SheetTile } from '../report/contact-sheet.ts'
import type { Evaluation, Mistake } from '../train/evaluation.ts'
import type { Interval } from '../train/wilson.ts'
import { csvNumber, csvText } from '../vectors/csv.ts'
import { evaluationDocument } from './evaluation-document.ts'

/** What `writeEvaluation` writes. */
export const evaluationFiles = [
  'evaluation.json',
  'classes.csv',
  'confusion.csv',
  'confusion.svg',
  'calibration.svg',
  'mistakes.svg',
] as const

const THUMBNAIL_SIDE = 160

/**
 * Writes the files of an evaluation; those of a former one are replaced.
 * @param samples        the pictures, to show the worst mistakes
 * @param preprocessing  how the network saw them: they are shown cut as it saw them
 */
export async function writeEvaluation(
  folder: string,
  evaluation: Evaluation,
  samples: readonly Loadable[],
  preprocessing: Preprocessing,
  signal?: AbortSignal,
): Promise<void> {
  const names = evaluation.classes.map(({ name }) => name)
  const tiles = await tilesOf(evaluation.mistakes, samples, preprocessing, signal)
  const contents: { readonly [F in (typeof evaluationFiles)[number]]: string | undefined } = {
    'evaluation.json': undefined,
    'classes.csv': classesCsv(evaluation),
    'confusion.csv': confusionCsv(names, evaluation.confusion),
    'confusion.svg': confusionSvg(names, evaluation.confusion),
    'calibration.svg': evaluation.calibration === null ? undefined : calibrationSvg(evaluation.calibration),
    'mistakes.svg': contactSheetSvg('The worst mistakes', tiles),
  }
  await createFolder(folder)
  await writeJson(path.join(folder, 'evaluation.json'), evaluationDocument(evaluation))
  for (const [name, content] of Object.entries(contents))
    if (content !== undefined) await writeFileAtomic(path.join(folder, name), content)
}

function classesCsv({ classes }: Evaluation): string {
  const ends = (interval: Interval | null) => [csvNumber(interval?.[0]), csvNumber(interval?.[1])]
  const rows = classes.map((scores) =>
    [
      csvText(scores.name),
      scores.images,
      scores.predicted,
      csvNumber(scores.precision),
      ...ends(scores.precisionInterval),
      csvNumber(scores.recall),
      ...ends(scores.recallInterval),
      csvNumber(scores.f1),
      ...ends(scores.f1Interval),
    ].join(','),
  )
  const titles = ['precision', 'recall', 'f1'].flatMap((name) => [name, `${name}_low`, `${name}_high`])
  return [['class', 'images', 'predicted', ...titles].join(','), ...rows, ''].join('\n')
}

function confusionCsv(names: readonly string[], confusion: readonly (readonly number[])[]): string {
  const rows = confusion.map((counts, row) => [csvText(names[row] ?? ''), ...counts].join(','))
  return [['true class', ...names.map(csvText)].join(','), ...rows, ''].join('\n')
}

async function tilesOf(
  mistakes: readonly Mistake[],
  samples: readonly Loadable[],
  preprocessing: Preprocessing,
  signal: AbortSignal | undefined,
): Promise<readonly SheetTile[]> {
  const { default: sharp } = await import('sharp')
  const fileOf = new Map(samples.map((sample) => [sample.path, sample.file]))
  const wanted = mistakes.map(({ path: name }) => ({ path: name, file: fileOf.get(name) ?? name }))
  const seen = { ...preprocessing, width: THUMBNAIL_SIDE, height: THUMBNAIL_SIDE }
  const jpegs = new Map<number, Uint8Array>()
  // One that has vanished since leaves an empty tile.
  for await (const batch of loadBatches({ samples: wanted, preprocessing: seen, batchSize: 8, signal })) {
    const bytes = batch.bytes.length / batch.count
    for (const [row, index] of batch.indices.entries()) {
      const picture = batch.bytes.subarray(row * bytes, (row + 1) * bytes)
      const raw = { width: THUMBNAIL_SIDE, height: THUMBNAIL_SIDE, channels: 3 } as const
      jpegs.set(index, await sharp(picture, { raw }).jpeg({ quality: 85 }).toBuffer())
    }
  }
  const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
  return mistakes.map(({ path: name, truth, predicted, score, truthScore }, index) => ({
    jpeg: jpegs.get(index),
    lines: [
      `said ${shortened(predicted)} ${percent(score)}`,
      `is ${shortened(truth)} (${percent(truthScore)})`,
      path.posix.basename(name),
    ],
  }))
}

/** So that the share behind it fits below a picture. */
function shortened(name: string): string {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name
}
