import { lineChart, type Panel } from './line-chart.ts'
import { svgDocument } from './svg.ts'

/** An epoch, as `history.csv` has it: accuracies 0…1. */
export interface CurvePoint {
  readonly epoch: number
  readonly learningRate: number
  readonly trainLoss: number
  readonly trainAccuracy: number
  readonly validationLoss: number
  readonly validationAccuracy: number
  readonly validationBalancedAccuracy: number
  readonly validationMacroF1: number
}

const WIDTH = 460
const HEIGHT = 300

/** How a training went: loss, accuracy, further metrics, learning rate. @param bestEpoch  is marked */
export function curvesSvg(history: readonly CurvePoint[], bestEpoch: number): string {
  const line = (name: string, of: (point: CurvePoint) => number, dashed = false) => ({
    name,
    points: history.map((point) => [point.epoch, of(point)] as const),
    dashed,
  })
  const shared = { xLabel: 'epoch', ...(bestEpoch > 0 ? { mark: { x: bestEpoch, word: 'best' } } : {}) }
  const panels: Panel[] = [
    {
      ...shared,
      title: 'Loss',
      series: [line('training', (p) => p.trainLoss), line('validation', (p) => p.validationLoss)],
    },
    {
      ...shared,
      title: 'Accuracy',
      series: [line('training', (p) => p.trainAccuracy), line('validation', (p) => p.validationAccuracy)],
    },
    {
      ...shared,
      title: 'Validation, each class counting alike',
      series: [
        line('balanced accuracy', (p) => p.validationBalancedAccuracy),
        line('macro F1', (p) => p.validationMacroF1, true),
      ],
    },
    { ...shared, title: 'Learning rate', series: [line('rate', (p) => p.learningRate)] },
  ]
  const body = panels.map((panel, index) =>
    lineChart(panel, (index % 2) * WIDTH, Math.floor(index / 2) * HEIGHT, WIDTH, HEIGHT),
  )
  return svgDocument(2 * WIDTH, 2 * HEIGHT, 'How the training went', body)
}
