// The rate rises by orders of magnitude until the cost does too; half of that is taken.
import { type RateThreshold, type SweepPoint, thresholdOf } from '../../src/train/rate-sweep.ts'
import { type DigitTraining, sweepDigits, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

export interface Found {
  readonly points: readonly SweepPoint[]
  readonly found: RateThreshold
  /** Half of the threshold. */
  readonly suggested: number
  /** Trainings at the suggestion multiplied by these. */
  readonly trainings: ReadonlyMap<number, DigitTraining>
}

/** Looks for the rate, and trains with it, with a hundredth and with ten times of it. */
export async function findingTheRate(): Promise<Found> {
  const [train, validation] = [drawDigits(400, 1), drawDigits(300, 2)]
  const network = { train, hidden: [30] }
  const points = await sweepDigits(network, { from: 1e-4, to: 100, steps: 150 })
  const found = thresholdOf(points)
  const suggested = (found.threshold ?? Number.NaN) / 2
  const trainings = new Map<number, DigitTraining>()
  for (const factor of [0.01, 1, 10])
    trainings.set(factor, await trainDigits({ ...network, validation, rate: factor * suggested, epochs: 8 }))
  return { points, found, suggested, trainings }
}

await whenRun(import.meta.url, async () => {
  const { points, found, suggested, trainings } = await findingTheRate()
  const first = points[0]?.loss ?? 1
  const log = ({ rate }: SweepPoint) => Math.log10(rate)
  return panelsSvg(
    'Finding the rate',
    [
      {
        title: 'Loss while the rate rises',
        xLabel: 'power of ten of the rate',
        series: [
          // What explodes would press all else to the ground.
          { name: 'loss', points: points.map((point) => [log(point), Math.min(point.loss, 2 * first)] as const) },
          {
            name: 'smoothed',
            points: points.map(
              (point, at) => [log(point), Math.min(found.smoothed[at] ?? Number.NaN, 2 * first)] as const,
            ),
          },
        ],
        reach: [0, 0],
        mark: { x: Math.log10(2 * suggested), word: `threshold ${(2 * suggested).toPrecision(2)}` },
      },
      {
        title: 'Training loss around the suggestion',
        xLabel: 'epoch',
        series: [...trainings].map(([factor, { history }]) =>
          overEpochs(
            `${(factor * suggested).toPrecision(2)}`,
            history.map((epoch) => Math.min(epoch.trainLoss, 2 * first)),
          ),
        ),
        reach: [0, 0],
      },
    ],
    520,
  )
})
