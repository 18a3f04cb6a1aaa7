import * as path from 'node:path'
import { RegraftError } from '../../errors.ts'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { inertName } from '../../inert-text.ts'
import type { Prediction } from '../../transfer/options.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { expandInputs } from '../inputs.ts'
import { batchSize, nulls, onError, preprocessing, strict } from '../shared-settings.ts'
import { onOff, text, wholeNumber } from '../values.ts'

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
    topk: wholeNumber({ from: 1, to: 100_000 }, { group: 'Output', help: 'labels per picture', fallback: '1' }),
    json: onOff({ group: 'Output', help: 'rows as JSON, one object a line' }),
    out: text('<file>', { group: 'Output', help: 'write to a .csv or .jsonl file', fallback: 'stdout, as CSV' }),
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ null: nullBytes, json, out, strict, ...options }, [model = '', ...given], work) {
    const topk = options.topk ?? 1
    const asJson = rowsAsJson(out, json)
    const inputs = await expandInputs(given, nullBytes ? 'null' : 'newline', work.stdin, work.signal)
    // On a terminal CSV must not carry what the terminal would obey; in a file names stay exact.
    const shown = out === undefined && work.output.isTerminal ? inertName : (name: string) => name
    if (out === undefined && work.output.isTerminal) work.hideBar()

    let rows = 0
    let failed = 0
    async function* lines(): AsyncGenerator<string> {
      for await (const prediction of work.verbs.predict(model, inputs, { ...options, ...work.options() })) {
        // With the first row, so that a model that cannot be opened leaves stdout empty.
        if (rows === 0 && !asJson) yield `${header(topk)}\n`
        rows += 1
        if (prediction.error !== null) failed += 1
        yield `${asJson ? jsonRow(prediction) : csvRow(prediction, topk, shown)}\n`
      }
    }
    if (out === undefined) for await (const line of lines()) await work.output.write(line)
    else await writeFileAtomic(out, encoded(lines()), { signal: work.signal })

    if (rows === 0) throw new RegraftError('data', 'There are no pictures in the inputs.')
    if (failed === rows) throw new RegraftError('data', `None of the ${rows} inputs could be classified.`)
    if (failed > 0) work.say(`${failed} of ${rows} inputs failed; their rows say why.`)
    return strict && failed > 0 ? 7 : 0
  },
})

function rowsAsJson(out: string | undefined, json: boolean | undefined): boolean {
  if (out === undefined) return json ?? false
  const ending = path.extname(out).toLowerCase()
  if (ending !== '.csv' && ending !== '.jsonl') {
    throw new RegraftError(
      'usage',
      `--out: ${inertName(out)} ends with neither .csv nor .jsonl, so the format is not known.`,
    )
  }
  if (json && ending === '.csv') throw new RegraftError('usage', '--json and --out with .csv contradict each other.')
  return ending === '.jsonl'
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
