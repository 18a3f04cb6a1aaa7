// Few pictures and a wide layer, with dropout and without.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

export interface Dropped {
  readonly rate: number
  readonly training: DigitTraining
}

/** The same training with nothing, and with half of the hidden units left out in each step. */
export async function dropout(): Promise<readonly Dropped[]> {
  const [train, validation] = [drawDigits(150, 1, NOISE), drawDigits(600, 2, NOISE)]
  const trainings: Dropped[] = []
  for (const rate of [0, 0.5]) {
    const way = { train, validation, hidden: [200], rate: 0.1, epochs: 60, dropout: rate }
    trainings.push({ rate, training: await trainDigits(way) })
  }
  return trainings
}

const NOISE = 0.5

await whenRun(import.meta.url, async () => {
  const trainings = await dropout()
  const name = (rate: number) => (rate === 0 ? 'all units' : 'half left out')
  const shared = { xLabel: 'epoch' } as const
  return panelsSvg(
    'Dropout',
    [
      {
        ...shared,
        title: 'Validation accuracy, 150 pictures to learn from',
        series: trainings.map(({ rate, training }) =>
          overEpochs(
            name(rate),
            training.history.map((epoch) => epoch.validationAccuracy),
          ),
        ),
        reach: [0, 1],
      },
      {
        ...shared,
        title: 'Loss',
        series: trainings.flatMap(({ rate, training: { history } }) => [
          overEpochs(
            `validation, ${name(rate)}`,
            history.map((epoch) => epoch.validationLoss),
          ),
          overEpochs(
            'training',
            history.map((epoch) => epoch.trainLoss),
            true,
          ),
        ]),
        reach: [0, 0],
      },
    ],
    600,
  )
})
