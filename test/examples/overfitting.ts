// The gap between training and validation: too much freedom, less of it, more pictures, and too little freedom.
import { type DigitTraining, trainDigits } from './digit-network.ts'
import { drawDigits } from './digits.ts'
import { overEpochs, panelsSvg, whenRun } from './picture.ts'

const NOISE = 0.5

export interface Case {
  readonly name: string
  readonly training: DigitTraining
}

/** Trainings that differ in pictures, weights and regularisation alone. */
export async function overfitting(): Promise<Readonly<Record<'few' | 'held' | 'many' | 'small', Case>>> {
  const [few, many, validation] = [drawDigits(100, 1, NOISE), drawDigits(3000, 1, NOISE), drawDigits(500, 2, NOISE)]
  const shared = { validation, rate: 0.05, epochs: 50 }
  const wide = { ...shared, hidden: [100] }
  return {
    few: { name: '100 pictures', training: await trainDigits({ ...wide, train: few }) },
    held: { name: '100 pictures, L2 of 10', training: await trainDigits({ ...wide, train: few, l2: 10 }) },
    many: { name: '3000 pictures', training: await trainDigits({ ...wide, train: many, epochs: 12 }) },
    small: {
      name: '3000 pictures, 2 units',
      training: await trainDigits({ ...shared, hidden: [2], train: many, epochs: 12 }),
    },
  }
}

/** Training less validation accuracy at the end. */
export function gapOf({ training }: Case): number {
  const last = training.history.at(-1)
  return (last?.trainAccuracy ?? Number.NaN) - (last?.validationAccuracy ?? Number.NaN)
}

await whenRun(import.meta.url, async () => {
  const cases = Object.values(await overfitting())
  return panelsSvg(
    'Overfitting',
    cases.map((each) => ({
      title: `${each.name}: a gap of ${Math.round(100 * gapOf(each))} points`,
      xLabel: 'epoch',
      series: [
        overEpochs(
          'training',
          each.training.history.map((epoch) => epoch.trainAccuracy),
          true,
        ),
        overEpochs(
          'validation',
          each.training.history.map((epoch) => epoch.validationAccuracy),
        ),
      ],
      reach: [0, 1] as const,
    })),
  )
})
