// Searches and learning curves as pictures.
import { lineChart, type Panel } from '../../report/line-chart.ts'
import { svgDocument } from '../../report/svg.ts'
import type { CurvePoint, Trial } from './results.ts'

const WIDTH = 460
const HEIGHT = 300
/** Beyond, values are shown by their power of ten. */
const WIDE = 20

/** Accuracy over each option that varied, a dot a trial. @param varied  names of the options */
export function tuneSvg(trials: readonly Trial[], varied: readonly string[], chosen: Trial): string {
  const panels = varied.map((name) => panelOf(trials, name, chosen)).filter((panel) => panel !== undefined)
  const rows = Math.max(1, Math.ceil(panels.length / 2))
  const body = panels.map((panel, at) => lineChart(panel, (at % 2) * WIDTH, Math.floor(at / 2) * HEIGHT, WIDTH, HEIGHT))
  return svgDocument(Math.min(2, Math.max(1, panels.length)) * WIDTH, rows * HEIGHT, 'What was tried', body)
}

/** What a terminal or a chart shows of an option: places on its axis, and how they are written. */
export function axisOf(
  trials: readonly Trial[],
  name: string,
): { readonly at: (trial: Trial) => number; readonly powers: boolean } | undefined {
  const settingOf = ({ settings }: Trial) => new Map<string, unknown>(Object.entries(settings)).get(name)
  const values = trials.map(settingOf).filter((value) => typeof value === 'number')
  if (values.length < 2) return undefined
  const powers = Math.min(...values) > 0 && Math.max(...values) > WIDE * Math.min(...values)
  const at = (trial: Trial) => {
    const value = settingOf(trial)
    if (typeof value !== 'number') return Number.NaN
    return powers ? Math.log10(value) : value
  }
  return { at, powers }
}

function panelOf(trials: readonly Trial[], name: string, chosen: Trial): Panel | undefined {
  const axis = axisOf(trials, name)
  if (axis === undefined) return undefined
  // A gap between the points makes dots of them.
  const dots = (some: readonly Trial[]) =>
    some.flatMap((trial) => [[axis.at(trial), trial.accuracy] as const, [Number.NaN, Number.NaN] as const])
  const done = trials.filter(({ status }) => status === 'done')
  const others = done.filter(({ number }) => number !== chosen.number)
  const at = axis.at(chosen)
  return {
    title: 'Accuracy',
    xLabel: axis.powers ? `${name}, power of ten` : name,
    series: [
      { name: 'tried', points: dots(others) },
      { name: 'chosen', points: dots([chosen]) },
    ],
    ...(Number.isFinite(at) ? { mark: { x: at, word: 'chosen' } } : {}),
  }
}

/** Accuracy over the size of the training part. */
export function learningCurveSvg(points: readonly CurvePoint[]): string {
  const line = (name: string, of: (point: CurvePoint) => number, dashed = false) => ({
    name,
    points: points.map((point) => [point.images, of(point)] as const),
    dashed,
  })
  const title = 'Accuracy by training pictures'
  const chart = lineChart(
    {
      title,
      xLabel: 'training pictures',
      series: [line('training', (p) => p.trainAccuracy, true), line('validation', (p) => p.valAccuracy)],
    },
    0,
    0,
    720,
    420,
  )
  return svgDocument(720, 420, title, [chart])
}
