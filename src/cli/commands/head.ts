import { inertName } from '../../inert-text.ts'
import type { TrainResult } from '../../transfer/options.ts'
import { metricsDocument } from '../../transfer/run-folder.ts'
import { defineCommand, type Work } from '../command.ts'
import { duration, jsonText, percent, shellWord, significant } from '../format.ts'
import { nextRun } from '../run-name.ts'
import { json, overwrite } from '../shared-settings.ts'
import { text } from '../values.ts'
import { trainSettings } from './train-settings.ts'

const {
  head: headSetting,
  activation,
  init,
  loss,
  focalGamma,
  focalAlpha,
  huberDelta,
  solver,
  strength,
  neighbours,
  pca,
  whiten,
  epochs,
  batchSize,
  opt,
  lr,
  momentum,
  weightDecay,
  l2,
  l1,
  ema,
  sched,
  decayRate,
  decayEpochs,
  decayMilestones,
  warmupEpochs,
  smoothing,
  dropout,
  dropconnect,
  clipGrad,
  classWeights,
  sampler,
  patience,
  minAccuracy,
  seed,
  out,
} = trainSettings

/** `head VECTORS`: a head on vectors that embed wrote. */
export const head = defineCommand({
  name: 'head',
  summary: 'train a head on vectors that embed wrote',
  description:
    'VECTORS is a folder that embed wrote, or a .npy file in it. The run folder is that of train --mode features with the same pictures: ' +
    'best/ is a whole model where the model that made the vectors is found, else the head alone, which predict and eval join with --backbone.\n' +
    'Solvers: lbfgs (logistic regression) is the usual one; ridge needs no rate and chooses its strength; knn and centroid need no training ' +
    'and show what the vectors are worth; gradient trains heads with hidden layers.',
  arguments: [{ name: 'vectors', help: 'a folder of embed, or a .npy file in it' }],
  examples: [
    'regraft embed flowers --model mobilenetv2_100 --out vectors && regraft head vectors',
    'regraft head vectors --solver ridge --pca 128',
    'regraft head vectors --head mlp:256 --epochs 30',
    'regraft head vectors --labels labels.csv --backbone models/mobilenetv2_100',
  ],
  common: [
    ...['labels', 'target', 'val', 'test', 'seed', 'head', 'solver', 'strength', 'neighbours', 'pca', 'epochs', 'lr'],
    ...['loss', 'out', 'overwrite', 'json', 'backbone', 'threads'],
  ],
  settings: {
    vectors: text('<dir>', { group: 'Data', help: 'vectors that embed wrote', positional: true }),
    labels: text('<file>', {
      group: 'Data',
      help: 'a CSV or JSONL file with path,label and perhaps split and group; its paths are those of index.csv or their ends',
      fallback: 'the labels in index.csv',
    }),
    target: text('<column|numeric>', {
      group: 'Data',
      help: 'predict a number: a column of --labels, or numeric where the labels are numbers (ridge regression; --head mlp by gradient)',
      fallback: 'classes; several at once where a path has several labels',
    }),
    val: text('<fraction|file|dir>', {
      group: 'Data',
      help: 'rows to validate with: a share, a list of paths, or other vectors',
      fallback: "the file's split, else 0.2",
    }),
    trainList: text('<file>', { group: 'Data', help: 'train on the rows named in this file only' }),
    test: text('<file|dir>', { group: 'Data', help: 'measure the head on these rows, or other vectors, at the end' }),
    seed,
    backbone: text('<model>', {
      group: 'Model',
      help: 'the model that made the vectors, where it is no longer found by its name',
    }),
    head: headSetting,
    activation,
    init,
    loss,
    focalGamma,
    focalAlpha,
    huberDelta,
    solver,
    strength,
    neighbours,
    pca,
    whiten,
    epochs: { ...epochs, help: 'times that all vectors are seen' },
    batchSize: { ...batchSize, help: 'vectors per step' },
    opt,
    lr,
    momentum,
    weightDecay,
    l2,
    l1,
    ema,
    sched,
    decayRate,
    decayEpochs,
    decayMilestones,
    warmupEpochs,
    smoothing,
    dropout,
    dropconnect,
    clipGrad,
    classWeights,
    sampler,
    patience,
    minAccuracy,
    out: { ...out, fallback: 'runs/<vectors>-<n>' },
    overwrite,
    json,
  },

  async run({ json, out, vectors: configured, ...options }, [argument], work) {
    const vectors = argument ?? configured ?? ''
    const run = out ?? (await nextRun(vectors))
    const result = await work.verbs.trainHead({ ...options, vectors, out: run, ...work.options() })
    if (json) {
      const document: unknown = Object.assign({ out: result.out }, metricsDocument(result))
      await work.output.write(`${jsonText(document, 2)}\n`)
    }
    summarise(result, work)
    return result.belowMinimum ? 5 : 0
  },
})

function summarise(
  { out, best, numbers, test, images, seconds, stopped, belowMinimum }: TrainResult,
  work: Work,
): void {
  const score = numbers
    ? `R² ${numbers.val.r2.toFixed(3)}, off by ${significant(numbers.val.rmse, 3)} (root mean square), ${significant(numbers.val.mae, 3)} (mean)`
    : `accuracy ${percent(best.valAccuracy)}`
  const lines = [`${inertName(out)}: validation ${score}`]
  if (numbers?.test) lines.push(`test R² ${numbers.test.r2.toFixed(3)}, off by ${significant(numbers.test.rmse, 3)}`)
  else if (test) lines.push(`test accuracy ${percent(test.accuracy)} on ${test.images} vectors`)
  const bad = images.bad > 0 ? `, ${images.bad} left out` : ''
  lines.push(`${images.train} vectors to train on, ${images.val} to validate${bad}; ${duration(seconds.total)}`)
  if (stopped !== undefined) lines.push(`stopped before the last epoch: ${stopped}`)
  if (belowMinimum) lines.push('The accuracy is below --min-accuracy.')
  lines.push(`Use it: regraft predict ${shellWord(out)} PICTURES...`)
  work.say(lines.join('\n'))
}
