import { writeJson } from '../../files/strict-json.ts'
import { inertName } from '../../inert-text.ts'
import type { Interval } from '../../train/wilson.ts'
import { evaluationDocument } from '../../transfer/evaluation-document.ts'
import type { EvaluateResult } from '../../transfer/options.ts'
import { defineCommand } from '../command.ts'
import { jsonText, percent, significant } from '../format.ts'
import { backbone, batchSize, json, onError, preprocessing, strict } from '../shared-settings.ts'
import { number, onOff, text } from '../values.ts'

/** `eval MODEL DATA`: how good a model is on a labelled folder. */
export const evaluate = defineCommand({
  name: 'eval',
  summary: 'measure a model on a labelled image folder',
  description:
    'Prints accuracy, loss, precision, recall and F1 of each class, the classes that are most often confused, calibration, and ' +
    'images per second. Intervals hold 95 %.',
  arguments: [
    { name: 'model', help: "a run folder, a model folder or file, a card's name" },
    { name: 'data', help: 'the image folder' },
  ],
  examples: [
    'regraft eval runs/flowers-1 flowers-test',
    'regraft eval runs/flowers-1 flowers-test --report report',
    'regraft eval runs/flowers-1 flowers-test --precision 0.95 --store',
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
    report: text('<dir>', {
      group: 'Output',
      help: 'write all of it as files: JSON and CSV, the confusion matrix, the calibration and the worst mistakes as pictures',
    }),
    backbone,
    onError,
    strict,
    batchSize,
    ...preprocessing,
  },

  async run({ json, out, strict, ...options }, [model = '', data = ''], work) {
    const result = await work.verbs.evaluate(model, data, { ...options, ...work.options() })
    const { bad, imagesPerSecond } = result
    const document = {
      ...evaluationDocument(result),
      ...(result.threshold === undefined ? {} : { threshold: result.threshold }),
      bad,
      images_per_second: imagesPerSecond,
    }
    if (out !== undefined) await writeJson(out, document)
    await work.output.write(json ? `${jsonText(document, 2)}\n` : table(result))
    return strict && result.bad > 0 ? 7 : 0
  },
})

/** Pairs of classes that a person is told of. */
const MOST_PAIRS = 5

function table(result: EvaluateResult): string {
  const { accuracy, accuracyInterval, loss, images, bad, imagesPerSecond, threshold, classes, confused, calibration } =
    result
  const names = classes.map(({ name }) => inertName(name, 60))
  const width = Math.max(5, ...names.map((name) => name.length))
  const share = (value: number | null) => (value === null ? '-' : percent(value)).padStart(9)
  const rows = classes.map(
    (of, at) =>
      `${(names[at] ?? '').padEnd(width)}  ${String(of.images).padStart(8)}${share(of.accuracy)}  ${between(of.recallInterval).padEnd(18)}${share(of.precision)}${share(of.f1)}`,
  )
  const pairs = confused
    .slice(0, MOST_PAIRS)
    .map(
      (pair) =>
        `${String(pair.images).padStart(6)}  ${percent(pair.share).padStart(7)}  ${inertName(pair.truth, 60)} taken for ${inertName(pair.predicted, 60)}`,
    )
  return [
    `accuracy  ${percent(accuracy)}  (${between(accuracyInterval)})`,
    `loss      ${significant(loss, 4)}`,
    `images    ${images}${bad > 0 ? ` (${bad} left out)` : ''}`,
    `speed     ${significant(imagesPerSecond, 3)} images/s`,
    `top ${result.topCount}     ${percent(result.topAccuracy)}`,
    `balanced  ${percent(result.balancedAccuracy)}  (mean of the classes' accuracies)`,
    `macro F1  ${percent(result.macroF1)}`,
    ...(calibration === null
      ? []
      : [
          `sureness  off by ${percent(calibration.error)}; ${percent(calibration.errorAfter)} with temperature ${significant(calibration.temperature, 3)}`,
        ]),
    ...(threshold === undefined
      ? []
      : [
          `threshold ${significant(threshold.value, 4)}: ${percent(threshold.precision)} of the labels from there on are right, ` +
            `${percent(1 - threshold.coverage)} of the images are unknown`,
        ]),
    '',
    `${'class'.padEnd(width)}  ${'images'.padStart(8)} accuracy  ${'95 %'.padEnd(18)}precision       F1`,
    ...rows,
    ...(pairs.length > 0 ? ['', 'most often confused', ...pairs] : []),
    '',
  ].join('\n')
}

function between(interval: Interval | null): string {
  return interval === null ? '-' : `${percent(interval[0])} to ${percent(interval[1])}`
}
