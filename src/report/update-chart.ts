import { lineChart } from './line-chart.ts'
import { svgDocument } from './svg.ts'

/** How much a step changed a tensor of weights, relative to it. */
export interface UpdateRatio {
  readonly stepsDone: number
  readonly parameter: string
  readonly ratio: number
}

/** Ratios of update to weight over the steps: the middle, and both ends, of all tensors. */
export function updatesSvg(ratios: readonly UpdateRatio[]): string {
  const steps = new Map<number, number[]>()
  for (const { stepsDone, ratio } of ratios) {
    if (!Number.isFinite(ratio)) continue
    const known = steps.get(stepsDone) ?? []
    known.push(ratio)
    steps.set(stepsDone, known)
  }
  const sorted = [...steps].sort(([a], [b]) => a - b)
  for (const [, values] of sorted) values.sort((a, b) => a - b)
  const line = (name: string, of: (values: readonly number[]) => number | undefined, dashed = false) => ({
    name,
    points: sorted.map(([step, values]) => [step, of(values) ?? Number.NaN] as const),
    dashed,
  })
  const chart = lineChart(
    {
      title: 'Size of an update, as a share of the weights',
      xLabel: 'steps done',
      logarithmic: true,
      series: [
        line('largest tensor', (values) => values.at(-1)),
        line('median', medianOfSorted),
        line('smallest', ([least]) => least),
        line('0.001 is usual', () => 1e-3, true),
      ],
    },
    0,
    0,
    620,
    340,
  )
  return svgDocument(620, 340, 'Updates', [chart])
}

export function medianOfSorted(values: readonly number[]): number | undefined {
  return values[Math.floor((values.length - 1) / 2)]
}
