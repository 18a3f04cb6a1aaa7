import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import { defineCommand } from '../command.ts'
import { jsonText, significant } from '../format.ts'
import { expandInputs } from '../inputs.ts'
import { nextRun } from '../run-name.ts'
import { batchSize, json, nulls, onError, overwrite, preprocessing, strict } from '../shared-settings.ts'
import { text } from '../values.ts'

/** `embed INPUTS...`: feature vectors for other tools. */
export const embed = defineCommand({
  name: 'embed',
  summary: 'compute feature vectors of pictures',
  description: 'Writes X.npy (a row of float32 per input, in their order), index.csv and meta.json.',
  arguments: [{ name: 'inputs', help: "pictures, folders, '-' for paths on stdin", optional: true, several: true }],
  examples: ['regraft embed photos --out vectors', 'regraft embed photos --model runs/flowers-1 --out vectors'],
  settings: {
    null: nulls,
    model: text('<model>', {
      group: 'Model',
      help: "folder, weight file, card's name, or 'default'",
      fallback: 'default',
    }),
    out: text('<dir>', { group: 'Output', help: 'folder to write', fallback: 'runs/<input>-<n>' }),
    overwrite,
    json,
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ null: nullBytes, model = 'default', out, json, strict, ...options }, given, work) {
    const inputs = await expandInputs(given, nullBytes ? 'null' : 'newline', work.stdin, work.signal)
    const folder = out ?? (await nextRun(given.find((input) => input !== '-') ?? 'vectors'))
    const result = await work.verbs.embed(model, inputs, { ...options, out: folder, ...work.options() })
    const { rows, features, failed, imagesPerSecond } = result
    if (json) {
      const document = { out: result.out, rows, features, failed, images_per_second: imagesPerSecond }
      await work.output.write(`${jsonText(document, 2)}\n`)
    }
    if (failed === rows)
      throw new RegraftError('data', `None of the ${rows} inputs could be read; ${inertName(result.out)} says why.`)
    const left = failed > 0 ? `, ${failed} of them failed (NaN; index.csv says why)` : ''
    work.say(
      `${inertName(result.out)}: ${rows} rows of ${features} features${left}; ${significant(imagesPerSecond, 3)} images/s`,
    )
    return strict && failed > 0 ? 7 : 0
  },
})
