import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import { nearestName } from '../../nearest-name.ts'
import type { FileStats } from '../../transfer/data-options.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import { defineCommand, type Work } from '../command.ts'
import { jsonText } from '../format.ts'
import { flagName } from '../settings.ts'
import { dedupe, groupBy, json } from '../shared-settings.ts'
import { onOff, text, wholeNumber } from '../values.ts'
import { checkDocument, checkText, statsDocument, statsText } from './data-report.ts'

const actions = ['check', 'stats', 'split'] as const
type Action = (typeof actions)[number]

/** Options that belong to some of the actions only. */
const belongsTo: Readonly<Record<string, readonly Action[]>> = {
  val: ['check', 'split'],
  trainList: ['check', 'split'],
  test: ['check', 'split'],
  groupBy: ['check', 'split'],
  seed: ['check', 'split'],
  json: ['check', 'stats'],
  files: ['stats'],
  folds: ['split'],
  dedupe: ['split'],
  out: ['split'],
}

/** `data check|stats|split DATA`: a look at pictures before they are trained on. */
export const data = defineCommand({
  name: 'data',
  summary: 'check, describe or split the pictures of a data set',
  description:
    'check reads every picture and tells what would harm a training: files that cannot be used, copies in two parts of the data or ' +
    'under two labels, classes with too little. It exits with 3 when there is any. stats counts formats, sizes and colours, or ' +
    'gives a row per file. split writes a manifest (.csv or .jsonl) that train takes as DATA.',
  arguments: [
    { name: 'action', help: 'check, stats or split' },
    { name: 'data', help: 'folders, manifests or lists', several: true },
  ],
  examples: [
    'regraft data check flowers',
    'regraft data check flowers --val flowers.val.txt --json',
    'regraft data stats photos --files --json',
    "regraft data split flowers --val 0.2 --group-by '^[^/]+/(patient\\d+)' --out flowers/split.csv",
  ],
  settings: {
    val: text('<fraction|dir|file>', {
      group: 'Data',
      help: 'validation pictures: a share, a folder, a list or a manifest',
      fallback: 'what the data sets apart; split: else 0.2',
    }),
    trainList: text('<file>', { group: 'Data', help: 'train on the pictures named in this file only' }),
    test: text('<dir>', { group: 'Data', help: 'pictures that are for the test: a folder, a list or a manifest' }),
    groupBy,
    seed: wholeNumber(
      { from: 0, to: Number.MAX_SAFE_INTEGER },
      { group: 'Data', help: 'of the draw that divides', fallback: '0' },
    ),
    folds: wholeNumber({ from: 2, to: 1000 }, { group: 'Data', help: 'split: number the pictures by folds instead' }),
    dedupe,
    files: onOff({ group: 'Output', help: 'stats: a row per file' }),
    out: text('<file>', { group: 'Output', help: 'split: the manifest to write' }),
    json: onOff({ ...json, help: 'print JSON on stdout: one document, or with --files one object a line' }),
  },

  async run(options, [word = '', ...places], work) {
    const action = actionOf(word)
    const foreign = Object.entries(options).find(
      ([name, value]) => value !== undefined && !belongsTo[name]?.includes(action),
    )
    if (foreign !== undefined) {
      const owners = belongsTo[foreign[0]]?.join(' and ')
      throw new RegraftError('usage', `--${flagName(foreign[0])} has a meaning only with data ${owners}.`)
    }
    const { json, files, out, val, folds, dedupe, ...rest } = options
    const common = { ...rest, ...(val === undefined ? {} : { val }), signal: work.signal, listener: work.listener }
    if (action === 'check') {
      const report = await work.verbs.checkData(places, common)
      await work.output.write(json ? `${jsonText(checkDocument(report), 2)}\n` : checkText(report))
      return report.harmful ? 3 : 0
    }
    if (action === 'stats') {
      if (files) return await writeFiles(work.verbs.fileStats(places, common), json ?? false, work)
      const stats = await work.verbs.dataStats(places, common)
      await work.output.write(json ? `${jsonText(statsDocument(stats), 2)}\n` : statsText(stats))
      return stats.images === 0 ? 3 : 0
    }
    if (out === undefined) {
      throw new RegraftError('usage', '--out is missing: the manifest to write, such as flowers/split.csv.')
    }
    if (folds !== undefined && val !== undefined) {
      throw new RegraftError(
        'usage',
        'Every picture validates in one of the --folds, so --val has no place beside them.',
      )
    }
    const result = await work.verbs.splitData(places, {
      ...common,
      out,
      ...(folds === undefined ? {} : { folds }),
      ...(dedupe === undefined ? {} : { dedupe }),
    })
    for (const note of result.notes) work.say(note)
    const test = result.test > 0 ? `, ${result.test} for the test` : ''
    const left = result.leftOut > 0 ? `; ${result.leftOut} left out` : ''
    work.say(`${inertName(out)}: ${result.train} pictures to train on, ${result.validation} to validate${test}${left}`)
    return 0
  },
})

function actionOf(word: string): Action {
  const action = actions.find((each) => each === word)
  if (action !== undefined) return action
  const near = nearestName(word, actions)
  const meant = near === undefined ? '' : ` Did you mean '${near}'?`
  throw new RegraftError('usage', `data: '${inertName(word, 100)}' is not known; check, stats and split are.${meant}`)
}

async function writeFiles(rows: AsyncIterable<FileStats>, asJson: boolean, work: Work): Promise<number> {
  if (work.output.isTerminal) work.hideBar()
  // On a terminal CSV must not carry what the terminal would obey.
  const shown = work.output.isTerminal ? inertName : (name: string) => name
  let count = 0
  let usable = 0
  for await (const row of rows) {
    if (count === 0 && !asJson)
      await work.output.write('path,label,format,width,height,red,green,blue,bytes,sha256,error\n')
    count += 1
    if (row.error === null) usable += 1
    await work.output.write(`${asJson ? jsonRow(row) : csvRow(row, shown)}\n`)
  }
  if (count === 0) throw new RegraftError('data', 'There are no pictures there.')
  return usable === 0 ? 3 : 0
}

function jsonRow({ path, label, format, width, height, meanRgb, bytes, sha256, error }: FileStats): string {
  const mean = meanRgb?.map((value) => Number(value.toFixed(2))) ?? null
  return jsonText({ path, label, format, width, height, mean_rgb: mean, bytes, sha256, error })
}

function csvRow(row: FileStats, shown: (text: string) => string): string {
  const { path, label, format, width, height, meanRgb, bytes, sha256, error } = row
  return [
    csvText(shown(path)),
    csvText(shown(label ?? '')),
    format ?? '',
    csvNumber(width),
    csvNumber(height),
    ...[0, 1, 2].map((c) => meanRgb?.[c]?.toFixed(2) ?? ''),
    bytes ?? '',
    sha256 ?? '',
    csvText(shown(error ?? '')),
  ].join(',')
}
