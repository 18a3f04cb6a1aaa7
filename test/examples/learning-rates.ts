// The same training at rates that are too low, good, too high and far too high.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

export const rates = { 'too low': 3e-4, good: 0.15, 'too high': 1, 'far too high': 1e20 } as const

export type Verdict = keyof typeof rates

/** A training for each rate. */
export async function learningRates(): Promise<ReadonlyMap<Verdict, DigitTraining>> {
  const [train, validation] = [drawDigits(300, 1), drawDigits(300, 2)]
  const trainings = new Map<Verdict, DigitTraining>()
  for (const verdict of Object.keys(rates) as Verdict[])
    trainings.set(verdict, await trainDigits({ train, validation, hidden: [30], rate: rates[verdict], epochs: 20 }))
  return trainings
}

await whenRun(import.meta.url, async () => {
  const trainings = [...(await learningRates())].filter(([, { history }]) => history.length > 0)
  return panelsSvg(
    'Rates',
    [
      {
        title: 'Training loss by the rate (at 1e20 the first steps end in NaN)',
        xLabel: 'epoch',
        series: trainings.map(([verdict, { history }]) =>
          overEpochs(
            `${verdict}: ${rates[verdict]}`,
            history.map((epoch) => epoch.trainLoss),
          ),
        ),
        reach: [0, 0],
      },
    ],
    640,
  )
})
