// What was watched, drawn: from the files that the monitor left, so that it can be drawn again.
import * as path from 'node:path'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { createFolder, pathFacts } from '../../files/folder.ts'
import { readTextLimited } from '../../files/read-file.ts'
import { graphOf, type Model } from '../../model/model.ts'
import { filterSheet } from '../../report/filter-sheet.ts'
import { histogramGridSvg } from '../../report/histogram-grid.ts'
import { medianOfSorted, updatesSvg } from '../../report/update-chart.ts'
import { csvRows } from '../../vectors/csv.ts'
import type { Spread } from './monitor.ts'

const MOST_BYTES = 1 << 28
/** An update of more than this share of the weights is large, of less is small. */
const LARGE = 1e-2
const SMALL = 1e-4

/**
 * Draws what a monitor left in the folder of a run, and the filters of the first layer.
 * @returns a sentence about the size of the updates; undefined where none was watched
 */
export async function drawMonitor(out: string, model: Model): Promise<string | undefined> {
  const folder = path.join(out, 'monitor')
  await createFolder(folder)
  await writeFilters(folder, model)
  const updates = await ratiosOf(path.join(folder, 'updates.csv'))
  if (updates.length > 0) await writeFileAtomic(path.join(folder, 'updates.svg'), updatesSvg(updates))
  const spreads = await lastSpreads(path.join(folder, 'histograms.jsonl'))
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`
  for (const kind of ['activation', 'gradient'] as const) {
    const own = spreads.filter((spread) => spread.kind === kind)
    const [first] = own
    if (first === undefined) continue
    const tiles = own.map((spread) => ({
      ...spread,
      words:
        kind === 'gradient'
          ? `deviation ${Number(spread.deviation.toPrecision(2))}`
          : `${spread.dead} of ${spread.channels} dead, zeros ${percent(spread.zeros)}, saturated ${percent(spread.saturated ?? 0)}`,
    }))
    const title = kind === 'activation' ? 'Activations' : 'Gradients of the weights'
    await writeFileAtomic(path.join(folder, `${kind}s.svg`), histogramGridSvg(`${title}, epoch ${first.epoch}`, tiles))
  }
  return adviceOf(updates.map(({ ratio }) => ratio))
}

function adviceOf(ratios: readonly number[]): string | undefined {
  const sorted = ratios.filter((ratio) => ratio > 0 && Number.isFinite(ratio)).sort((a, b) => a - b)
  const median = medianOfSorted(sorted)
  if (median === undefined) return undefined
  const meaning =
    median > LARGE
      ? 'that is much (0.001 is usual); a lower --lr may learn better'
      : median < SMALL
        ? 'that is little (0.001 is usual); a higher --lr may learn faster'
        : 'that is usual'
  return `An update changes weights by a share of ${Number(median.toPrecision(2))} in the median: ${meaning}.`
}

async function ratiosOf(file: string) {
  if ((await pathFacts(file)) === undefined) return []
  const found = new Map<string, { stepsDone: number; parameter: string; ratio: number }>()
  for await (const { cells, line } of csvRows([await readTextLimited(file, MOST_BYTES)], file)) {
    const [, , stepsDone = '', parameter = '', kind = '', , , , ratio = ''] = cells
    // Biases and norms begin at zero or one, where a share says little. Of a step that was made twice the last one counts.
    if (line > 1 && kind === 'weight')
      found.set(`${stepsDone} ${parameter}`, { stepsDone: Number(stepsDone), parameter, ratio: Number(ratio) })
  }
  return [...found.values()]
}

async function lastSpreads(file: string): Promise<readonly Spread[]> {
  if ((await pathFacts(file)) === undefined) return []
  const lines = (await readTextLimited(file, MOST_BYTES)).split('\n').filter((line) => line !== '')
  // Written by the monitor, a line each.
  const all = lines.map((line) => JSON.parse(line) as Spread)
  const last = all.at(-1)?.stepsDone
  const kept = new Map(all.filter(({ stepsDone }) => stepsDone === last).map((one) => [`${one.kind} ${one.name}`, one]))
  return [...kept.values()]
}

/** `filters.png`, where the first layer looks at the three colours. */
async function writeFilters(folder: string, model: Model): Promise<void> {
  const first = graphOf(model).layers.find(({ op }) => op === 'conv2d')
  const weight = first && model.tensors.get(`${first.name}.weight`)
  const [filters = 0, channels = 0, height = 0, width = 0] = weight?.shape ?? []
  if (weight === undefined || channels !== 3) return
  const { default: sharp } = await import('sharp')
  const sheet = filterSheet(weight.data, filters, height, width)
  const raw = { width: sheet.width, height: sheet.height, channels: 3 } as const
  await writeFileAtomic(path.join(folder, 'filters.png'), await sharp(sheet.bytes, { raw }).png().toBuffer())
}
