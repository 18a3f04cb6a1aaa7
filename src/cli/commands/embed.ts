import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import type { EmbedSpeed } from '../../transfer/embed-speed.ts'
import type { EmbedOptions, Inputs } from '../../transfer/options.ts'
import { headerText, rowText } from '../../vectors/text-table.ts'
import { vectorFormats } from '../../vectors/write-table.ts'
import { defineCommand, type Work } from '../command.ts'
import { jsonText, shellWord, significant } from '../format.ts'
import { expandInputs } from '../inputs.ts'
import { nextRun } from '../run-name.ts'
import { readShard } from '../shard.ts'
import { batchSize, finishing, json, nulls, onError, overwrite, preprocessing, strict } from '../shared-settings.ts'
import { choice, onOff, text } from '../values.ts'

/** `embed INPUTS...`: feature vectors for other tools. */
export const embed = defineCommand({
  name: 'embed',
  summary: 'compute feature vectors of pictures',
  description:
    'Writes X.npy (a row of float32 per input, in their order), index.csv and meta.json. Rows are kept as they come: after an ' +
    'interruption --resume goes on. Several machines share the work with --shard; merge puts their results together.',
  arguments: [
    {
      name: 'inputs',
      help: "pictures, folders, patterns, lists, '-' for paths on stdin",
      optional: true,
      several: true,
    },
  ],
  examples: [
    'regraft embed photos --out vectors',
    'regraft embed photos --model runs/flowers-1 --out vectors --format parquet',
    "find photos -name '*.jpg' -print0 | regraft embed -0 --out - --format jsonl > vectors.jsonl",
    'regraft embed photos --shard 3/8 --resume --out shards/3',
  ],
  settings: {
    null: nulls,
    model: text('<model>', {
      group: 'Model',
      help: "folder, weight file, card's name, or 'default'",
      fallback: 'default',
    }),
    layer: text('<names>', {
      group: 'Model',
      help: 'layers, blocks or stages, separated by commas',
      fallback: "the classifier's input",
    }),
    pool: choice(['mean', 'none'], {
      group: 'Model',
      help: 'how a layer with a value for each place becomes a vector',
      fallback: 'mean',
    }),
    ...finishing,
    format: choice(vectorFormats, { group: 'Output', help: 'of the vectors', fallback: 'npy' }),
    dtype: choice(['float32', 'float16'], {
      group: 'Output',
      help: 'element type of npy, npz and safetensors',
      fallback: 'float32',
    }),
    out: text('<dir>', {
      group: 'Output',
      help: "folder to write; '-' for rows on stdout (csv, jsonl)",
      fallback: 'runs/<input>-<n>',
    }),
    overwrite,
    resume: onOff({ group: 'Output', help: 'go on with what an interrupted call has left' }),
    shard: text('<i/n>', {
      group: 'Data',
      help: 'only this part of the inputs: 3/8, or auto/8 and auto in an array of Slurm or an indexed job of Kubernetes',
    }),
    json,
    speed: onOff({
      group: 'Output',
      help: 'afterwards measure decoding and network by themselves, and what the cores allow',
    }),
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ null: nullBytes, model = 'default', layer, shard, out, json, strict, ...rest }, given, work) {
    const options = {
      ...rest,
      ...(layer === undefined ? {} : { layers: layer.split(',').map((name) => name.trim()) }),
      ...(shard === undefined ? {} : { shard: readShard(shard, work.environment) }),
    }
    if (options.resume && out === undefined) {
      throw new RegraftError('usage', '--resume needs --out: the folder to go on with.')
    }
    const inputs = await expandInputs(given, nullBytes ? 'null' : 'newline', work.stdin, work.signal)
    if (out === '-')
      return await toStdout(model, inputs, { ...options, strict: strict ?? false, json: json ?? false }, work)
    const folder = out ?? (await nextRun(given.find((input) => input !== '-') ?? 'vectors'))
    const result = await work.verbs
      .embed(model, inputs, { ...options, out: folder, ...work.options() })
      .catch((error) => {
        if (!(error instanceof RegraftError) || error.code !== 'interrupted') throw error
        work.say(`Go on with the same words, and: --out ${shellWord(folder)} --resume`)
        throw error
      })
    const { rows, features, layers, failed, imagesPerSecond, speed } = result
    if (json) {
      const document = {
        ...{ out: result.out, rows, features, layers, failed, images_per_second: imagesPerSecond },
        ...(speed === undefined ? {} : { speed: documentOf(speed) }),
      }
      await work.output.write(`${jsonText(document, 2)}\n`)
    }
    const left = failed > 0 ? `, ${failed} of them failed (NaN; index.csv says why)` : ''
    work.say(
      `${inertName(result.out)}: ${rows} rows of ${features} features${left}; ${significant(imagesPerSecond, 3)} images/s`,
    )
    if (speed !== undefined) for (const line of speedLines(speed, imagesPerSecond)) work.say(line)
    return strict && failed > 0 ? 7 : 0
  },
})

function documentOf({ cores, decoding, computing, allowed }: EmbedSpeed): unknown {
  const half = ({ imagesPerSecond, cpuMilliseconds }: EmbedSpeed['decoding']) => ({
    images_per_second: imagesPerSecond,
    cpu_milliseconds: cpuMilliseconds,
  })
  return { cores, decoding: half(decoding), computing: half(computing), allowed_images_per_second: allowed }
}

function speedLines({ cores, decoding, computing, allowed }: EmbedSpeed, reached: number): readonly string[] {
  const half = (name: string, { imagesPerSecond, cpuMilliseconds }: EmbedSpeed['decoding']) =>
    `${name} alone  ${significant(imagesPerSecond, 3)} images/s, ${significant(cpuMilliseconds, 3)} ms of a core per picture`
  const share = (of: number) => `${significant((100 * reached) / of, 3)} %`
  return [
    half('decoding', decoding),
    half('network ', computing),
    `${cores} ${cores === 1 ? 'core allows' : 'cores allow'} ${significant(allowed, 3)} images/s; reached were ${share(allowed)} of that, ${share(computing.imagesPerSecond)} of the network alone`,
  ]
}

type RowOptions = Omit<EmbedOptions, 'out' | 'engine'> & { readonly strict: boolean; readonly json: boolean }

async function toStdout(model: string, inputs: Inputs, options: RowOptions, work: Work): Promise<number> {
  const { strict, json, format = json ? 'jsonl' : 'npy', resume, overwrite, dtype, speed, ...rest } = options
  if (format !== 'jsonl' && format !== 'csv') {
    throw new RegraftError('usage', `--out - writes rows: --format jsonl or csv, not ${format}.`)
  }
  for (const [name, value] of Object.entries({ resume, overwrite, dtype, speed })) {
    if (value !== undefined) throw new RegraftError('usage', `--${name} has no meaning with --out -.`)
  }
  if (json && format === 'csv') throw new RegraftError('usage', '--json and --format csv contradict each other.')
  if (work.output.isTerminal) work.hideBar()
  // On a terminal CSV must not carry what the terminal would obey.
  const shown = format === 'csv' && work.output.isTerminal ? inertName : (name: string) => name
  let rows = 0
  let failed = 0
  for await (const { path, label, error, vectors } of work.verbs.embedRows(model, inputs, {
    ...rest,
    ...work.options(),
  })) {
    const named = vectors.map(({ layer, columns, values }) => ({ name: layer, columns, values }))
    // With the first row, so that a model that cannot be opened leaves stdout empty.
    const header = rows === 0 ? headerText(format, named) : ''
    await work.output.write(header + rowText(format, rows, { path: shown(path), label, error }, named))
    if (error !== null) failed += 1
    rows += 1
  }
  if (rows === 0) throw new RegraftError('data', 'There are no pictures in the inputs.')
  if (failed === rows) throw new RegraftError('data', `None of the ${rows} inputs can be read.`)
  if (failed > 0) work.say(`${failed} of ${rows} inputs failed; their rows say why.`)
  return strict && failed > 0 ? 7 : 0
}
