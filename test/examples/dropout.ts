// Few pictures and a wide layer, with dropout and without.
import type { EpochRecord } from '../../src/train/events.ts'
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

export interface Dropped {
  readonly rate: number
  readonly training: DigitTraining
}

/** The same training with nothing, and with half of the hidden units left out in each step. */
export async function dropout(): Promise<readonly Dropped[]> {
  const [train, validation] = [drawDigits(300, 1, NOISE), drawDigits(600, 2, NOISE)]
  const trainings: Dropped[] = []
  for (const rate of [0, 0.5]) {
    const way = { train, validation, hidden: [400], rate: 0.05, epochs: 100, dropout: rate }
    trainings.push({ rate, training: await trainDigits(way) })
  }
  return trainings
}

const NOISE = 0.5

await whenRun(import.meta.url, async () => {
  const trainings = await dropout()
  const panel = (title: string, of: (epoch: EpochRecord) => number, reach: readonly [number, number]) => ({
    title,
    xLabel: 'epoch',
    series: trainings.map(({ rate, training: { history } }) =>
      overEpochs(rate === 0 ? 'all units' : 'half left out', history.map(of)),
    ),
    reach,
  })
  return panelsSvg('Dropout', [
    panel('Validation accuracy, 300 pictures to learn from', (epoch) => epoch.validationAccuracy, [0, 1]),
    panel('Validation loss', (epoch) => epoch.validationLoss, [0, 0]),
    panel('Training loss', (epoch) => epoch.trainLoss, [0, 0]),
  ])
})
