// How accuracy grows with the training pictures: whether more of them would help.
import * as path from 'node:path'
import { writeFileAtomic } from '../../files/atomic-write.ts'
import { writeJson } from '../../files/strict-json.ts'
import { randomStream } from '../../random.ts'
import { eventLog } from '../event-log.ts'
import type { TrainOptions } from '../options.ts'
import { describeRun, refuseTaken, startRun } from '../run-folder.ts'
import { learningCurveSvg } from './charts.ts'
import { featureWork } from './feature-work.ts'
import type { CurvePoint } from './results.ts'
import { rowsOf, tryOut } from './trials.ts'

export type LearningCurveOptions = Omit<TrainOptions, 'mode' | 'resume'>

export interface LearningCurve {
  readonly out: string
  readonly points: readonly CurvePoint[]
  /** What the last doubling of the pictures was worth. */
  readonly lastDoubling: number
  readonly advice: string
}

const shares = [0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1] as const
/** Few pictures differ much from other few. */
const DRAWS = 3
/** Less is within what chance does. */
const WORTH = 0.01

/**
 * Trains heads on growing parts of the training pictures, on features that are computed once, and checks each on all validation
 * pictures. A part keeps at least one picture of each class, and the larger ones hold the smaller.
 * @throws RegraftError as `train`
 */
export async function learningCurve(options: LearningCurveOptions): Promise<LearningCurve> {
  const { out, overwrite = false } = options
  const log = eventLog(options.listener)
  const { work, vectors } = await featureWork({ ...options, listener: log.listener }, log)
  await refuseTaken(out, overwrite)
  await startRun(out, overwrite)
  log.open(out)
  await describeRun(out, work.config, work.manifest, work.record)
  const { test: _, ...both } = await vectors()
  const { listener } = work.options
  listener?.({ type: 'phase', phase: 'tune', total: shares.length, unit: 'trials' })
  const points: CurvePoint[] = []
  for (const [at, share] of shares.entries()) {
    const draws = share === 1 ? 1 : DRAWS
    const scores = []
    let images = 0
    for (let draw = 0; draw < draws; draw++) {
      const rows = partOf(both.train.labels, share, work.config.seed, draw)
      images = rows.length
      scores.push(await tryOut(work, [{ ...both, train: rowsOf(both.train, rows) }]))
    }
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const losses = scores.flatMap(({ loss }) => (loss === null ? [] : [loss]))
    points.push({
      share,
      images,
      trainAccuracy: mean(scores.map(({ trainAccuracy }) => trainAccuracy)),
      valAccuracy: mean(scores.map(({ accuracy }) => accuracy)),
      valLoss: losses.length === scores.length ? mean(losses) : null,
    })
    listener?.({ type: 'progress', phase: 'tune', done: at + 1, total: shares.length })
  }
  listener?.({ type: 'phaseEnd', phase: 'tune' })
  const of = (share: number) => points.find((point) => point.share === share)?.valAccuracy ?? 0
  const lastDoubling = of(1) - of(0.5)
  const gained = `From half of the training pictures to all of them validation gained ${(100 * lastDoubling).toFixed(1)} points`
  const advice =
    lastDoubling > WORTH
      ? `${gained}: more pictures would probably help.`
      : `${gained}: more pictures of this kind will hardly help; a larger model or --mode finetune may.`
  const result: LearningCurve = { out, points, lastDoubling, advice }
  await writeJson(path.join(out, 'learning-curve.json'), curveDocument(result))
  await writeFileAtomic(path.join(out, 'learning-curve.svg'), learningCurveSvg(points))
  await log.flush()
  return result
}

/** `learning-curve.json`. */
export function curveDocument({ out, points, lastDoubling, advice }: LearningCurve): unknown {
  return {
    out,
    points: points.map(({ share, images, trainAccuracy, valAccuracy, valLoss }) => ({
      share,
      images,
      train_accuracy: trainAccuracy,
      val_accuracy: valAccuracy,
      val_loss: valLoss,
    })),
    last_doubling: lastDoubling,
    advice,
  }
}

/** A share of each class, at least one row of it; rows in their order. */
export function partOf(labels: Int32Array, share: number, seed: number, draw: number): number[] {
  const byClass = new Map<number, number[]>()
  for (const [row, label] of labels.entries()) {
    const own = byClass.get(label)
    if (own) own.push(row)
    else byClass.set(label, [row])
  }
  const rows: number[] = []
  for (const [label, own] of byClass) {
    const random = randomStream({ seed, epoch: draw, sample: label, purpose: 'learning curve' })
    rows.push(...random.shuffle(own).slice(0, Math.max(1, Math.round(share * own.length))))
  }
  return rows.sort((a, b) => a - b)
}
