// The verb `lr-find`: raises the learning rate until the cost no longer falls, and suggests one from what was seen.
import { RegraftError } from '../errors.ts'
import { lineChart } from '../report/line-chart.ts'
import { svgDocument } from '../report/svg.ts'
import { nothingDone } from '../train/progress.ts'
import { type RateThreshold, type SweepPoint, suggestedRate, sweepRates, thresholdOf } from '../train/rate-sweep.ts'
import { eventLog } from './event-log.ts'
import { fineTune } from './fine-tune.ts'
import type { TrainOptions } from './options.ts'
import { loadTensors, readTensors } from './session.ts'
import { solverOf } from './solver.ts'
import { prepared } from './train.ts'
import { trainOnFeatures } from './train-on-features.ts'
import type { Trained, Trainee } from './trainee.ts'

export interface LrFindOptions extends Omit<TrainOptions, 'out'> {
  /** The first rate. */
  readonly from?: number | undefined
  /** The last one, where nothing happens before. */
  readonly to?: number | undefined
  readonly steps?: number | undefined
}

export interface LrFindResult extends RateThreshold {
  readonly points: readonly SweepPoint[]
  /** As `suggestedRate` has it, for `epochs`. Two digits; undefined where nothing happened. */
  readonly suggestion: number | undefined
  readonly mode: 'head' | 'features' | 'finetune'
  readonly opt: string
  readonly batchSize: number
  /** Of the training for which the rate is suggested. */
  readonly epochs: number
}

export const lrFindDefaults = { from: 1e-6, to: 10, steps: 120 } as const

/**
 * Trains as `train` would with the same options, but at a rate that rises from step to step, and puts the weights back.
 * @throws RegraftError as `train` before its first epoch; 'usage' for a head that is solved without a rate
 */
export async function lrFind(options: LrFindOptions): Promise<LrFindResult> {
  const { from = lrFindDefaults.from, to = lrFindDefaults.to, steps = lrFindDefaults.steps, ...training } = options
  if (!(from < to)) throw new RegraftError('usage', `--from ${from} is not below --to ${to}: the rate has to rise.`)
  if (options.mode === 'features' && solverOf(options) !== 'gradient') {
    throw new RegraftError(
      'usage',
      'A linear head is solved exactly with --mode features, without a learning rate. Use --mode head or finetune, or --head mlp.',
    )
  }
  const work = await prepared({ ...training, out: '' }, eventLog(undefined))
  const { config, options: given } = work
  let points: readonly SweepPoint[] = []
  let stepsOfEpoch = 0
  const sweep = async (trainee: Trainee): Promise<Trained> => {
    const { runner, updater, store, changing, pictures, batches } = trainee
    const before = await readTensors(
      store,
      changing.map(({ name }) => name),
    )
    const counters = new Map(trainee.counters)
    given.listener?.({ type: 'phase', phase: 'lr-find', total: steps, unit: 'iterations' })
    const stepPictures = config.batchSize * config.accum
    stepsOfEpoch = Math.ceil(pictures / stepPictures)
    try {
      points = await sweepRates({
        runner,
        updater,
        batches,
        pictures,
        stepPictures,
        classes: work.data.classes.length,
        smoothing: config.smoothing,
        classWeights: work.classWeights,
        signal: work.budget.signal(),
        from,
        to,
        steps,
        onStep: (done, { rate, loss }) =>
          given.listener?.({
            type: 'progress',
            phase: 'lr-find',
            done,
            total: steps,
            detail: `rate ${rate.toExponential(1)}  loss ${loss.toFixed(3)}`,
          }),
      })
    } finally {
      await loadTensors(store, before)
      for (const [name, count] of counters) trainee.counters.set(name, count)
    }
    given.listener?.({ type: 'phaseEnd', phase: 'lr-find' })
    return { progress: nothingDone, best: await trainee.weights(), bestCounters: counters }
  }
  try {
    const instead = { ...work, instead: sweep }
    await (config.mode === 'finetune' ? fineTune(instead) : trainOnFeatures(instead))
  } finally {
    work.budget.close()
  }
  const found = thresholdOf(points)
  const { mode, opt, batchSize, epochs } = config
  const rate = suggestedRate(points, found, epochs * stepsOfEpoch)
  const suggestion = rate === undefined ? undefined : Number(rate.toPrecision(2))
  return { ...found, points, suggestion, mode, opt, batchSize, epochs }
}

/** Loss over rate as a picture. */
export function lrFindSvg({ points, smoothed, threshold, suggestion }: LrFindResult): string {
  const over = (values: readonly number[]) =>
    points.map(({ rate }, at) => [Math.log10(rate), values[at] ?? Number.NaN] as const)
  const title = suggestion === undefined ? 'Loss by learning rate' : `Loss by learning rate: ${suggestion} suggested`
  // An exploded loss would leave the rest flat.
  const most = 2 * (points[0]?.loss ?? 1)
  const shown = (values: readonly number[]) => values.map((value) => (value <= most ? value : Number.NaN))
  const chart = lineChart(
    {
      title,
      xLabel: 'learning rate, power of ten',
      series: [
        { name: 'loss of the step', points: over(shown(points.map(({ loss }) => loss))), dashed: true },
        { name: 'with its neighbours', points: over(shown(smoothed)) },
      ],
      ...(threshold === undefined ? {} : { mark: { x: Math.log10(threshold), word: 'threshold' } }),
    },
    0,
    0,
    720,
    420,
  )
  return svgDocument(720, 420, title, [chart])
}
