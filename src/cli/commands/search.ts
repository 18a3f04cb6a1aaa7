import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import type { SearchRow } from '../../transfer/options.ts'
import { csvNumber, csvText } from '../../vectors/csv.ts'
import { defineCommand } from '../command.ts'
import { jsonText, significant } from '../format.ts'
import { expandInputs } from '../inputs.ts'
import { batchSize, nulls, strict } from '../shared-settings.ts'
import { onOff, text, wholeNumber } from '../values.ts'

/** `search VECTORS QUERIES...`: the nearest of many vectors. */
export const search = defineCommand({
  name: 'search',
  summary: 'find the pictures that are most like others',
  description:
    'Compares pictures with the vectors that embed wrote, by cosine, exactly. Rows are query,rank,path,label,score,row,error. The queries are ' +
    'embedded as the vectors were; instead of pictures they may be one .npy file of vectors.',
  arguments: [
    { name: 'vectors', help: 'a folder of embed, or one of its .npy files' },
    { name: 'queries', help: "pictures, folders, a .npy file, '-' for paths on stdin", optional: true, several: true },
  ],
  examples: ['regraft search vectors --query cat.jpg', 'regraft search vectors cat.jpg dog.jpg --topk 3 --json'],
  settings: {
    query: text('<file>', { group: 'Data', help: 'a picture to search for, the same as a QUERY' }),
    null: nulls,
    topk: wholeNumber({ from: 1, to: 100_000 }, { group: 'Output', help: 'matches per query', fallback: '10' }),
    model: text('<model>', {
      group: 'Model',
      help: 'the model that made the vectors, if it is elsewhere now',
      fallback: 'as meta.json names it',
    }),
    json: onOff({ group: 'Output', help: 'a JSON object a query, one a line' }),
    strict,
    batchSize,
  },

  async run({ query, null: nullBytes, json, strict, ...options }, [vectors = '', ...given], work) {
    const asked = query === undefined ? given : [query, ...given]
    const inputs = await expandInputs(asked, nullBytes ? 'null' : 'newline', work.stdin, work.signal)
    const found = await work.verbs.search(vectors, inputs, { ...options, ...work.options() })
    const { rows, seconds } = found
    const shown = work.output.isTerminal ? inertName : (name: string) => name
    if (!json) await work.output.write('query,rank,path,label,score,row,error\n')
    for (const row of rows) await work.output.write(json ? `${jsonText(row)}\n` : csvRows(row, shown))
    const failed = rows.filter(({ error }) => error !== null).length
    const time = `read in ${significant(seconds.load, 2)} s, compared in ${significant(seconds.search, 2)} s`
    work.say(`${found.vectors} vectors of ${found.features} features ${time}`)
    if (failed === rows.length) throw new RegraftError('data', `None of the ${failed} queries can be read.`)
    if (failed > 0) work.say(`${failed} of ${rows.length} queries failed; their rows say why.`)
    return strict && failed > 0 ? 7 : 0
  },
})

/** A row for each match; one without any for a query that failed. */
function csvRows({ query, error, matches }: SearchRow, shown: (text: string) => string): string {
  const name = csvText(shown(query))
  if (error !== null) return `${name},,,,,,${csvText(shown(error))}\n`
  return matches
    .map(({ path, label, score, row }, at) =>
      [name, at + 1, csvText(shown(path)), csvText(shown(label ?? '')), csvNumber(score), `${row},\n`].join(','),
    )
    .join('')
}
