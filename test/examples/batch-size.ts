// Steps by one picture, by some, and by all of them: noise against work.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { panelsSvg, whenRun } from './picture.ts'

const PICTURES = 200
const EPOCHS = 12

export interface Batches {
  readonly size: number
  readonly training: DigitTraining
  /** How much the loss changes from step to step, over its mean, in the last half of the steps. */
  readonly noise: number
}

/** The same pictures as often, in steps of each size. */
export async function batchSizes(): Promise<readonly Batches[]> {
  const [train, validation] = [drawDigits(PICTURES, 1), drawDigits(300, 2)]
  const all: Batches[] = []
  for (const size of [1, 20, PICTURES]) {
    const way = { train, validation, hidden: [30], rate: 0.05, epochs: EPOCHS, batchSize: size }
    const training = await trainDigits(way)
    all.push({ size, training, noise: noiseOf(training.stepLosses) })
  }
  return all
}

function noiseOf(losses: readonly number[]): number {
  const half = losses.slice(Math.floor(losses.length / 2))
  const changes = half.slice(1).map((loss, at) => Math.abs(loss - (half[at] ?? 0)))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return mean(changes) / mean(half)
}

await whenRun(import.meta.url, async () => {
  const all = await batchSizes()
  const name = (size: number) => (size === PICTURES ? 'all pictures' : size === 1 ? '1 picture' : `${size} pictures`)
  return panelsSvg('Batch size', [
    {
      title: 'Loss of each step, by the pictures that were seen',
      xLabel: 'pictures',
      series: all.map(({ size, training }) => ({
        name: name(size),
        points: training.stepLosses.map((loss, step) => [(step + 1) * size, loss] as const),
      })),
      reach: [0, 0],
    },
    {
      title: 'Validation loss',
      xLabel: 'pictures',
      series: all.map(({ size, training }) => ({
        name: name(size),
        points: training.history.map((epoch) => [epoch.epoch * PICTURES, epoch.validationLoss] as const),
      })),
      reach: [0, 0],
    },
  ])
})
