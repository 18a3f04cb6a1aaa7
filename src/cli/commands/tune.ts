import { RegraftError } from '../../errors.ts'
import { inertName } from '../../inert-text.ts'
import { axisOf } from '../../transfer/tune/charts.ts'
import { type Comparison, comparisonDocument } from '../../transfer/tune/compare-models.ts'
import { curveDocument, type LearningCurve } from '../../transfer/tune/learning-curve.ts'
import type { Trial, TuneResult } from '../../transfer/tune/results.ts'
import { tuneDocument } from '../../transfer/tune/trial-records.ts'
import { searches, tuneDefaults } from '../../transfer/tune/tune.ts'
import { defineCommand, type Work } from '../command.ts'
import { jsonText, percent, shellWord, significant } from '../format.ts'
import { nextRun } from '../run-name.ts'
import { preprocessing } from '../shared-settings.ts'
import { textTable } from '../table.ts'
import { textPlot } from '../text-plot.ts'
import { choice, onOff, text, wholeNumber } from '../values.ts'
import { trainSettings } from './train-settings.ts'

const {
  val,
  trainList,
  groupBy,
  dedupe,
  test,
  seed,
  onError,
  maxBad,
  model,
  head,
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
  weightDecay,
  smoothing,
  dropout,
  dropconnect,
  sched,
  classWeights,
  sampler,
  patience,
  normalize,
  out,
  overwrite,
  json,
} = trainSettings

/** `tune DATA`: which settings, which network, how many pictures. */
export const tune = defineCommand({
  name: 'tune',
  summary: 'search the settings of a head, compare networks, draw a learning curve',
  description:
    'DATA is an image folder, or vectors that embed wrote. Features are computed once; each trial is a head on them, with settings drawn at ' +
    'random: first from wide ranges, with a quarter of the epochs, then around the best. Folds of the training part choose (--folds 0: the ' +
    'validation part); the test part is looked at once, at the end. A trial whose cost rises to three times the first is stopped. The run ' +
    'folder gets the trials, a picture, and the best head as train leaves it.\n' +
    '--models compares networks by the same head; --learning-curve shows what more pictures would be worth.',
  arguments: [{ name: 'data', help: 'the image folder, or vectors' }],
  examples: [
    'regraft tune flowers --model mobilenetv2_100',
    'regraft tune vectors --solver gradient --space ranges.yaml --trials 40 --search halving',
    'regraft tune flowers --models mobilenetv1_050,mobilenetv2_100,resnet18',
    'regraft tune flowers --learning-curve',
  ],
  common: [
    ...['val', 'test', 'seed', 'model', 'models', 'head', 'solver', 'strength', 'trials', 'space', 'search', 'folds'],
    ...['learningCurve', 'epochs', 'out', 'overwrite', 'resume', 'json', 'threads'],
  ],
  settings: {
    val,
    trainList,
    groupBy,
    dedupe,
    test,
    seed,
    onError,
    maxBad,
    model,
    models: text('<names>', {
      group: 'Model',
      help: 'compare these networks, separated by commas, instead of settings',
    }),
    head,
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
    trials: wholeNumber(
      { from: 2, to: 10_000 },
      { group: 'Training', help: 'settings that are tried', fallback: String(tuneDefaults.trials) },
    ),
    space: text('<file>', {
      group: 'Training',
      help: 'YAML file of ranges: strength: {log: [1e-4, 10]}, smoothing: {uniform: [0, 0.3]}, batch-size: [16, 64]',
      fallback: 'wide ranges for the solver',
    }),
    search: choice(searches, {
      group: 'Training',
      help: 'the way to search; halving: all begin with an eighth of the epochs, and the better half goes on with twice as many',
      fallback: tuneDefaults.search,
    }),
    folds: wholeNumber(
      { from: 0, to: 100 },
      {
        group: 'Training',
        help: 'parts of the training pictures that check in turn; 0: the validation pictures check',
        fallback: String(tuneDefaults.folds),
      },
    ),
    learningCurve: onOff({ group: 'Training', help: 'train on growing parts of the training pictures instead' }),
    epochs,
    batchSize,
    opt,
    lr,
    weightDecay,
    smoothing,
    dropout,
    dropconnect,
    sched,
    classWeights,
    sampler,
    patience,
    ...preprocessing,
    normalize,
    out: { ...out, help: 'folder to write', fallback: 'runs/<data>-<n>' },
    overwrite,
    resume: text('<run>', { group: 'Output', help: 'go on with the trials in this folder; say the same as before' }),
    json,
  },

  async run({ json, out, resume, models, learningCurve, trials, space, search, folds, ...options }, [data = ''], work) {
    if (resume !== undefined && out !== undefined)
      throw new RegraftError('usage', '--resume names the folder to go on with: leave --out away.')
    const goOn = resume !== undefined
    const run = resume ?? out ?? (await nextRun(data))
    const only = (given: Readonly<Record<string, unknown>>, what: string) => {
      const name = Object.keys(given).find((key) => given[key] !== undefined)
      if (name !== undefined) throw new RegraftError('usage', `--${name} has no meaning with ${what}.`)
    }
    const shared = { ...options, data, out: run, ...work.options() }
    if (learningCurve) {
      only({ models, trials, space, search, folds, resume }, '--learning-curve')
      const curve = await work.verbs.learningCurve(shared)
      await work.output.write(json ? `${jsonText(curveDocument(curve), 2)}\n` : curveWords(curve))
      return 0
    }
    const foldsGiven = folds === undefined ? {} : { folds }
    if (models !== undefined) {
      only({ model: options.model, trials, space, search }, '--models')
      const { model: _, ...rest } = shared
      const names = models.split(',').map((name) => name.trim())
      const comparison = await work.verbs.compareModels({ ...rest, models: names, ...foldsGiven, goOn })
      await work.output.write(json ? `${jsonText(comparisonDocument(comparison), 2)}\n` : comparisonWords(comparison))
      return 0
    }
    const given = {
      ...foldsGiven,
      ...(trials === undefined ? {} : { trials }),
      ...(space === undefined ? {} : { space }),
      ...(search === undefined ? {} : { search }),
    }
    const result = await work.verbs.tune({ ...shared, ...given, goOn }).catch((error) => {
      if (!(error instanceof RegraftError) || error.code !== 'interrupted') throw error
      work.say(`Go on with the same words, and: --resume ${shellWord(run)}`)
      throw error
    })
    await work.output.write(json ? `${jsonText(tuneDocument(result), 2)}\n` : tuneWords(result))
    summarise(result, work)
    return 0
  },
})

/** Trials that a person is shown. */
const MOST_ROWS = 10

function tuneWords({ trials, varied, chosen, usual }: TuneResult): string {
  const done = trials.filter(({ status }) => status === 'done')
  const sorted = done.toSorted((a, b) => b.accuracy - a.accuracy || a.number - b.number)
  const settingsOf = ({ settings }: Trial) =>
    Object.entries(settings)
      .map(([name, value]) => `${name} ${typeof value === 'number' ? significant(value, 3) : value}`)
      .join(', ')
  const rows = sorted
    .slice(0, MOST_ROWS)
    .map((trial) => [
      trial.number === chosen.number ? '*' : '',
      String(trial.number),
      trial.stage,
      percent(trial.accuracy),
      trial.loss === null ? '' : significant(trial.loss, 4),
      settingsOf(trial),
    ])
  const other = trials.length - done.length
  const stopped = other > 0 ? `${other} of ${trials.length} trials were stopped or failed.\n` : ''
  const plots = varied.flatMap((name) => {
    const axis = axisOf(done, name)
    if (axis === undefined) return []
    const marks = [{ x: axis.at(chosen), letter: 'C' }]
    const plot = textPlot({
      points: done.map((trial) => [axis.at(trial), 100 * trial.accuracy]),
      most: 100,
      width: 64,
      height: 10,
      marks,
      label: (x) => significant(axis.powers ? 10 ** x : x, 2),
    })
    return [`\naccuracy by ${name}\n${plot}`]
  })
  const table = textTable([['', 'trial', 'stage', 'accuracy', 'loss', 'settings'], ...rows], [1, 3, 4])
  return `${table}${stopped}${plots.join('')}\nChosen (C): ${settingsOf(chosen)}, ${percent(chosen.accuracy)}; as it is by default ${percent(usual.accuracy)}\n`
}

function summarise({ out, best, test, images }: TuneResult, work: Work): void {
  const lines = [`${inertName(out)}: validation accuracy ${percent(best.valAccuracy)} with the chosen settings`]
  if (test) lines.push(`test accuracy ${percent(test.accuracy)} on ${test.images} images`)
  lines.push(`${images.train} to train on, ${images.val} to validate`)
  lines.push(`Use it: regraft predict ${shellWord(out)} PICTURES...`)
  work.say(lines.join('\n'))
}

function comparisonWords({ models }: Comparison): string {
  const rows = models.map(({ model, features, foldAccuracy, valAccuracy, imagesPerSecond }) => [
    inertName(model),
    String(features),
    foldAccuracy === null ? '' : percent(foldAccuracy),
    percent(valAccuracy),
    significant(imagesPerSecond, 3),
  ])
  return textTable([['model', 'features', 'folds', 'validation', 'images/s'], ...rows], [1, 2, 3, 4])
}

function curveWords({ points, advice }: LearningCurve): string {
  const rows = points.map(({ images, trainAccuracy, valAccuracy }) => [
    String(images),
    percent(trainAccuracy),
    percent(valAccuracy),
  ])
  const plot = textPlot({
    points: points.map(({ images, valAccuracy }) => [images, 100 * valAccuracy]),
    most: 100,
    width: 64,
    height: 10,
    marks: [],
    label: (x) => String(Math.round(x)),
  })
  return `${textTable([['pictures', 'training', 'validation'], ...rows], [0, 1, 2])}\nvalidation accuracy by training pictures\n${plot}\n${advice}\n`
}
