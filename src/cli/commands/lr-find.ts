import { writeFileAtomic } from '../../files/atomic-write.ts'
import { type LrFindResult, lrFindDefaults, lrFindSvg } from '../../transfer/lr-find.ts'
import { defineCommand } from '../command.ts'
import { jsonText, significant } from '../format.ts'
import type { Settings } from '../settings.ts'
import { textPlot } from '../text-plot.ts'
import { number, text, wholeNumber } from '../values.ts'
import { trainSettings } from './train-settings.ts'

/** Options of `train` that mean nothing to a few steps without validation, checkpoints or a folder. */
const {
  data: _data,
  test: _test,
  strict: _strict,
  lr: _lr,
  ema: _ema,
  gradual: _gradual,
  sched: _sched,
  decayRate: _decayRate,
  decayEpochs: _decayEpochs,
  decayMilestones: _decayMilestones,
  warmupEpochs: _warmupEpochs,
  patience: _patience,
  onNan: _onNan,
  time: _time,
  minAccuracy: _minAccuracy,
  out: _out,
  overwrite: _overwrite,
  saveEvery: _saveEvery,
  keepCheckpoints: _keepCheckpoints,
  resume: _resume,
  allowBuildChange: _allowBuildChange,
  monitor: _monitor,
  tensorboard: _tensorboard,
  checks: _checks,
  dryRun: _dryRun,
  showAugment: _showAugment,
  ...shared
} = trainSettings satisfies Settings

/** `lr-find DATA`: which learning rate to begin with. */
export const lrFind = defineCommand({
  name: 'lr-find',
  summary: 'suggest a learning rate',
  description:
    'Trains as train would with the same options, with a rate that rises by orders of magnitude from step to step, and prints the loss over ' +
    'the rate. The threshold (T) is where the cost rises: from there on it oscillates or explodes. Suggested (S) is at most half of it, ' +
    'and less for a training of many steps (--epochs): one that goes some fifty times as far as it took until the cost was halfway down, ' +
    'since near the threshold a long one learns its pictures by heart. Nothing is kept.',
  arguments: [{ name: 'data', help: 'the image folder' }],
  examples: ['regraft lr-find flowers', 'regraft lr-find flowers --mode finetune --unfreeze last:2 --svg rates.svg'],
  common: [
    ...['val', 'seed', 'model', 'mode', 'head', 'unfreeze', 'epochs', 'batchSize', 'opt', 'weightDecay', 'augment'],
    ...['from', 'to', 'steps', 'svg', 'json', 'threads'],
  ],
  settings: {
    ...shared,
    from: number(
      { from: 0, above: true },
      { group: 'Training', help: 'the first rate', fallback: String(lrFindDefaults.from) },
    ),
    to: number(
      { from: 0, above: true },
      { group: 'Training', help: 'the last rate', fallback: String(lrFindDefaults.to) },
    ),
    steps: wholeNumber(
      { from: 10, to: 100_000 },
      { group: 'Training', help: 'steps from the first to the last', fallback: String(lrFindDefaults.steps) },
    ),
    svg: text('<file>', { group: 'Output', help: 'draw the losses into a file, too' }),
  },

  async run({ json, svg, ...options }, [data = ''], work) {
    const result = await work.verbs.lrFind({ ...options, data, ...work.options() })
    if (svg !== undefined) await writeFileAtomic(svg, lrFindSvg(result))
    await work.output.write(json ? `${jsonText(documentOf(result), 2)}\n` : words(result))
    return 0
  },
})

function documentOf({ points, smoothed, threshold, halfway, beyond, suggestion, ...rest }: LrFindResult): unknown {
  const { mode, opt, batchSize, epochs } = rest
  return {
    suggestion: suggestion ?? null,
    threshold: threshold ?? null,
    halfway: halfway ?? null,
    beyond,
    mode,
    opt,
    batch_size: batchSize,
    epochs,
    // JSON knows neither NaN nor infinity.
    points: points.map(({ rate, loss }, at) => ({
      rate,
      loss: finite(loss),
      smoothed: finite(smoothed[at] ?? Number.NaN),
    })),
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function words({ points, smoothed, threshold, beyond, suggestion }: LrFindResult): string {
  const marks = [
    ...(suggestion === undefined ? [] : [{ x: Math.log10(suggestion), letter: 'S' }]),
    ...(threshold === undefined ? [] : [{ x: Math.log10(threshold), letter: 'T' }]),
  ]
  const plot = textPlot({
    points: points.map(({ rate }, at) => [Math.log10(rate), smoothed[at] ?? Number.NaN]),
    // What exploded would leave the rest flat.
    most: 1.5 * (smoothed[0] ?? 1),
    width: 72,
    height: 14,
    marks,
    label: (x) => significant(10 ** x, 2),
  })
  const limit =
    threshold === undefined ? 'The cost never rose.' : `Beyond ${significant(threshold, 2)} the cost ${beyond}.`
  const advice =
    suggestion === undefined
      ? 'Nothing to suggest: give --to a higher rate or --steps a larger number.'
      : `Suggested: --lr ${suggestion}`
  return `${plot}\n${limit}\n${advice}\n`
}
