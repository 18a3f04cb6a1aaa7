import { writeJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import type { EvaluateResult } from '../../transfer/options.ts'
import { defineCommand } from '../command.ts'
import { jsonText, percent, significant } from '../format.ts'
import { batchSize, json, onError, preprocessing, strict } from '../shared-settings.ts'
import { number, onOff, text } from '../values.ts'

/** `eval MODEL DATA`: how good a model is on a labelled folder. */
export const evaluate = defineCommand({
  name: 'eval',
  summary: 'measure a model on a labelled image folder',
  description: 'Prints accuracy, loss, the accuracy of each class, and images per second.',
  arguments: [
    { name: 'model', help: "a run folder, a model folder or file, a card's name" },
    { name: 'data', help: 'the image folder' },
  ],
  examples: [
    'regraft eval runs/flowers-1 flowers-test --precision 0.95 --store',
    'regraft eval runs/flowers-1 flowers-test',
    'regraft eval runs/flowers-1 flowers-test --json',
  ],
  settings: {
    json,
    precision: number(
      { from: 0, above: true, to: 1 },
      { group: 'Output', help: 'find the probability from which on this share of the labels is right' },
    ),
    store: onOff({
      group: 'Output',
      help: "keep that probability with the model: predict calls what is below 'unknown'",
    }),
    out: text('<file>', { group: 'Output', help: 'write the JSON document to a file, too' }),
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ json, out, strict, ...options }, [model = '', data = ''], work) {
    const result = await work.verbs.evaluate(model, data, { ...options, ...work.options() })
    const document = evaluateDocument(result)
    if (out !== undefined) await writeJson(out, document)
    await work.output.write(json ? `${jsonText(document, 2)}\n` : table(result))
    return strict && result.bad > 0 ? 7 : 0
  },
})

function evaluateDocument(result: EvaluateResult): Readonly<Record<string, unknown>> {
  const { accuracy, loss, images, bad, imagesPerSecond, threshold, classes, confusion } = result
  return {
    ...{ accuracy, loss, images, bad, images_per_second: imagesPerSecond },
    ...(threshold === undefined ? {} : { threshold }),
    ...{ classes, confusion },
  }
}

function table({ accuracy, loss, images, bad, imagesPerSecond, threshold, classes }: EvaluateResult): string {
  const names = classes.map(({ name }) => inertName(name, 60))
  const width = Math.max(5, ...names.map((name) => name.length))
  const rows = classes.map(
    (of, at) =>
      `${(names[at] ?? '').padEnd(width)}  ${String(of.images).padStart(8)}  ${of.accuracy === null ? '-' : percent(of.accuracy)}`,
  )
  return [
    `accuracy  ${percent(accuracy)}`,
    `loss      ${significant(loss, 4)}`,
    `images    ${images}${bad > 0 ? ` (${bad} left out)` : ''}`,
    `speed     ${significant(imagesPerSecond, 3)} images/s`,
    ...(threshold === undefined
      ? []
      : [
          `threshold ${significant(threshold.value, 4)}: ${percent(threshold.precision)} of the labels from there on are right, ` +
            `${percent(1 - threshold.coverage)} of the images are unknown`,
        ]),
    '',
    `${'class'.padEnd(width)}  ${'images'.padStart(8)}  accuracy`,
    ...rows,
    '',
  ].join('\n')
}
