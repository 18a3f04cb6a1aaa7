// The verb `lr-find`: raises the learning rate until the cost no longer falls, and suggests half of that.
import { RegraftError } from '../errors.ts'
import { lineChart } from '../report/line-chart.ts'
import { svgDocument } from '../report/svg.ts'
import { nothingDone } from '../train/progress.ts'
import { type RateThreshold, type SweepPoint, sweepRates, thresholdOf } from '../train/rate-sweep.ts'
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
  /**
   * Half of the rate halfway down: at the threshold itself a network learns its pictures by heart. Where the cost does not fall, as when a solved head comes first,
   * half of the threshold. Two digits; undefined where nothing happened.
   */
  readonly suggestion: number | undefined
  readonly mode: 'head' | 'features' | 'finetune'
  readonly opt: string
  readonly batchSize: number
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
  const sweep = async (trainee: Trainee): Promise<Trained> => {
    const { runner, updater, store, changing, pictures, batches } = trainee
    const before = await readTensors(
      store,
      changing.map(({ name }) => name),
    )
    const counters = new Map(trainee.counters)
    given.listener?.({ type: 'phase', phase: 'lr-find', total: steps, unit: 'iterations' })
    try {
      points = await sweepRates({
        runner,
        updater,
        batches,
        pictures,
        stepPictures: config.batchSize * config.accum,
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
  const { mode, opt, batchSize } = config
  const full = found.halfway ?? found.threshold
  const suggestion = full === undefined ? undefined : Number((full / 2).toPrecision(2))
  return { ...found, points, suggestion, mode, opt, batchSize }
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
