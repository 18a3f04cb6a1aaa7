// A training that gets no better after a while, and where patience ends it.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

export const PATIENCE = 10
export const EPOCHS = 80

/** The same training to its last epoch, and with patience. */
export async function earlyStopping(): Promise<{ readonly whole: DigitTraining; readonly patient: DigitTraining }> {
  const [train, validation] = [drawDigits(120, 3, 0.6), drawDigits(500, 4, 0.6)]
  const way = { train, validation, hidden: [100], rate: 0.1, epochs: EPOCHS }
  return { whole: await trainDigits(way), patient: await trainDigits({ ...way, patience: PATIENCE }) }
}

await whenRun(import.meta.url, async () => {
  const { whole, patient } = await earlyStopping()
  const stop = patient.history.length
  const shared = { xLabel: 'epoch', mark: { x: stop, word: `stopped at ${stop}, ${patient.bestEpoch} kept` } } as const
  return panelsSvg('Early stopping', [
    {
      ...shared,
      title: 'Accuracy',
      series: [
        overEpochs(
          'training',
          whole.history.map((epoch) => epoch.trainAccuracy),
          true,
        ),
        overEpochs(
          'validation',
          whole.history.map((epoch) => epoch.validationAccuracy),
        ),
      ],
      reach: [0, 1],
    },
    {
      ...shared,
      title: 'Loss',
      series: [
        overEpochs(
          'training',
          whole.history.map((epoch) => epoch.trainLoss),
          true,
        ),
        overEpochs(
          'validation',
          whole.history.map((epoch) => epoch.validationLoss),
        ),
      ],
      reach: [0, 0],
    },
  ])
})
