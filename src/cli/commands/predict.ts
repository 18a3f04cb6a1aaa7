import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { inertName } from '../../inert-text.ts'
import type { Prediction } from '../../transfer/options.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import { type ParquetColumn, type ParquetValues, parquetPieces } from '../../vectors/parquet.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { expandInputs } from '../inputs.ts'
import { backbone, batchSize, nulls, onError, preprocessing, strict } from '../shared-settings.ts'
import { number, onOff, text, wholeNumber } from '../values.ts'

/** `predict MODEL INPUTS...`: a row per picture, in the order of the inputs. */
export const predict = defineCommand({
  name: 'predict',
  summary: 'classify pictures',
  description:
    'Rows are path,label,score,error. A picture that cannot be read keeps its row, with an error and no label.',
  arguments: [
    { name: 'model', help: "a run folder, a model folder or file, a card's name" },
    { name: 'inputs', help: "pictures, folders, '-' for paths on stdin", optional: true, several: true },
  ],
  examples: [
    'regraft predict runs/flowers-1 photos > labels.csv',
    "find photos -name '*.jpg' -print0 | regraft predict runs/flowers-1 -0 --json --topk 3",
  ],
  settings: {
    null: nulls,
    threshold: number(
      { from: 0, to: 1 },
      {
        group: 'Output',
        help: "probability below which the label is 'unknown'",
        fallback: "the model's (eval --store), else 0",
      },
    ),
    topk: wholeNumber({ from: 1, to: 100_000 }, { group: 'Output', help: 'labels per picture', fallback: '1' }),
    json: onOff({ group: 'Output', help: 'rows as JSON, one object a line' }),
    out: text('<file>', {
      group: 'Output',
      help: 'write to a .csv, .jsonl or .parquet file',
      fallback: 'stdout, as CSV',
    }),
    backbone,
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ null: nullBytes, json, out, strict, ...options }, [model = '', ...given], work) {
    const topk = options.topk ?? 1
    const format = formatOf(out, json)
    const inputs = await expandInputs(given, nullBytes ? 'null' : 'newline', work.stdin, work.signal)
    // On a terminal CSV must not carry what the terminal would obey; in a file names stay exact.
    const shown = out === undefined && work.output.isTerminal ? inertName : (name: string) => name
    if (out === undefined && work.output.isTerminal) work.hideBar()

    let rows = 0
    let failed = 0
    async function* predictions(): AsyncGenerator<Prediction> {
      for await (const prediction of work.verbs.predict(model, inputs, { ...options, ...work.options() })) {
        yield prediction
        rows += 1
        if (prediction.error !== null) failed += 1
      }
    }
    async function* lines(): AsyncGenerator<string> {
      for await (const prediction of predictions()) {
        // With the first row, so that a model that cannot be opened leaves stdout empty.
        if (rows === 0 && format === 'csv') yield `${header(topk)}\n`
        yield `${format === 'jsonl' ? jsonRow(prediction) : csvRow(prediction, topk, shown)}\n`
      }
    }
    if (out === undefined) for await (const line of lines()) await work.output.write(line)
    else
      await writeFileAtomic(out, format === 'parquet' ? parquet(predictions(), topk) : encoded(lines()), {
        signal: work.signal,
      })

    if (rows === 0) throw new RegraftError('data', 'There are no pictures in the inputs.')
    if (failed === rows) throw new RegraftError('data', `None of the ${rows} inputs could be classified.`)
    if (failed > 0) work.say(`${failed} of ${rows} inputs failed; their rows say why.`)
    return strict && failed > 0 ? 7 : 0
  },
})

type RowFormat = 'csv' | 'jsonl' | 'parquet'

function formatOf(out: string | undefined, json: boolean | undefined): RowFormat {
  if (out === undefined) return json ? 'jsonl' : 'csv'
  const ending = path.extname(out).toLowerCase().slice(1)
  if (ending !== 'csv' && ending !== 'jsonl' && ending !== 'parquet') {
    throw new RegraftError(
      'usage',
      `--out: ${inertName(out)} ends with none of .csv, .jsonl and .parquet, so the format is not known.`,
    )
  }
  if (json && ending !== 'jsonl')
    throw new RegraftError('usage', `--json and --out with .${ending} contradict each other.`)
  return ending
}

function header(topk: number): string {
  const more = Array.from({ length: topk - 1 }, (_, at) => `,label${at + 2},score${at + 2}`)
  return `path,label,score,error${more.join('')}`
}

function csvRow({ path, label, score, error, top }: Prediction, topk: number, shown: (text: string) => string): string {
  const cells = [csvText(shown(path)), csvText(shown(label ?? '')), csvNumber(score), csvText(shown(error ?? ''))]
  for (let at = 1; at < topk; at++) cells.push(csvText(shown(top[at]?.label ?? '')), csvNumber(top[at]?.score))
  return cells.join(',')
}

function jsonRow({ path, label, score, error, top }: Prediction): string {
  return jsonText({ path, label, score, error, top: top.map(({ label, score }) => ({ label, score })) })
}

async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  for await (const line of lines) yield encoder.encode(line)
}

/** Rows of a row group. */
const GROUP_ROWS = 10_000

/** The columns of the CSV. */
function parquet(predictions: AsyncIterable<Prediction>, topk: number): AsyncIterable<Uint8Array> {
  const columns: ParquetColumn[] = header(topk)
    .split(',')
    .map((name) => ({ name, kind: name.startsWith('score') ? 'number' : 'text' }))
  async function* groups(): AsyncGenerator<readonly ParquetValues[]> {
    let rows: Prediction[] = []
    const group = (): ParquetValues[] => {
      const full = rows
      rows = []
      const more = Array.from({ length: topk - 1 }, (_, at): ParquetValues[] => [
        { text: full.map(({ top }) => top[at + 1]?.label ?? null) },
        { numbers: full.map(({ top }) => top[at + 1]?.score ?? null) },
      ])
      return [
        { text: full.map(({ path }) => path) },
        { text: full.map(({ label }) => label) },
        { numbers: full.map(({ score }) => score) },
        { text: full.map(({ error }) => error) },
        ...more.flat(),
      ]
    }
    for await (const prediction of predictions) {
      rows.push(prediction)
      if (rows.length === GROUP_ROWS) yield group()
    }
    if (rows.length > 0) yield group()
  }
  return parquetPieces(columns, groups())
}
