// Weights that all begin as zeros: hidden units stay alike, however long the training.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits, PIXELS } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

const UNITS = 30

export interface Start {
  readonly init: string
  readonly training: DigitTraining
  /** The largest difference between the weights of two hidden units, over that of any two weights. */
  readonly apart: number
}

/** The same training from zeros, and from random weights. */
export async function zeroInitialisation(): Promise<readonly Start[]> {
  const [train, validation] = [drawDigits(400, 1), drawDigits(300, 2)]
  const shared = { train, validation, hidden: [UNITS], activation: 'sigmoid', rate: 1, epochs: 25 } as const
  const starts: Start[] = []
  for (const init of ['zeros', 'xavier-normal']) {
    const training = await trainDigits({ ...shared, init })
    starts.push({ init, training, apart: apartness(training.weights.get('head.0.weight') ?? new Float32Array()) })
  }
  return starts
}

function apartness(weights: Float32Array): number {
  let most = 0
  for (let at = PIXELS; at < weights.length; at++)
    most = Math.max(most, Math.abs((weights[at] ?? 0) - (weights[at % PIXELS] ?? 0)))
  return most / weights.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-9)
}

await whenRun(import.meta.url, async () => {
  const starts = await zeroInitialisation()
  return panelsSvg('Zero initialisation', [
    {
      title: `Training loss of ${UNITS} sigmoid units`,
      xLabel: 'epoch',
      series: starts.map(({ init, training }) =>
        overEpochs(
          init,
          training.history.map((epoch) => epoch.trainLoss),
        ),
      ),
      reach: [0, 0],
    },
    {
      title: 'Validation accuracy',
      xLabel: 'epoch',
      series: starts.map(({ init, training }) =>
        overEpochs(
          init,
          training.history.map((epoch) => epoch.validationAccuracy),
        ),
      ),
      reach: [0, 1],
    },
  ])
})
