import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import { vectorFormats } from '../../vectors/write-table.ts'
import { defineCommand } from '../command.ts'
import { jsonText } from '../format.ts'
import { finishing, json, overwrite } from '../shared-settings.ts'
import { choice, text } from '../values.ts'

/** `merge SHARDS...`: the parts of an `embed` that was shared out. */
export const merge = defineCommand({
  name: 'merge',
  summary: 'put the shards of embed together',
  description:
    'Writes what one embed without --shard would have written, row by row in the order of the inputs. All shards have to be there, ' +
    'finished, made by the same model and options.',
  arguments: [{ name: 'shards', help: 'folders written by embed --shard', several: true }],
  examples: ['regraft merge shards/* --out vectors', 'regraft merge shards/* --out vectors --format parquet'],
  settings: {
    out: text('<dir>', { group: 'Output', help: 'folder to write' }),
    format: choice(vectorFormats, { group: 'Output', help: 'of the vectors', fallback: 'npy' }),
    ...finishing,
    overwrite,
    json,
  },

  async run({ out, json, ...options }, shards, work) {
    if (out === undefined) throw new RegraftError('usage', '--out is missing: the folder to write.')
    const result = await work.verbs.merge(shards, { ...options, out, ...work.options() })
    const { rows, failed } = result
    if (json) await work.output.write(`${jsonText({ out, rows, failed, shards: result.shards }, 2)}\n`)
    const left = failed > 0 ? `, ${failed} of them failed (NaN; index.csv says why)` : ''
    work.say(`${inertName(out)}: ${rows} rows of ${result.shards} shards${left}`)
    return 0
  },
})
