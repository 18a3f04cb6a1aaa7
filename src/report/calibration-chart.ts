import { linearScale } from './scale.ts'
import { colours, element, grid, ink, paleInk, svgDocument, text } from './svg.ts'

export interface CalibrationChart {
  readonly error: number
  readonly temperature: number
  readonly errorAfter: number
  readonly bins: readonly {
    readonly from: number
    readonly to: number
    readonly images: number
    readonly confidence: number | null
    readonly accuracy: number | null
  }[]
}

const WIDTH = 460
const LEFT = 62
const RIGHT = 440
const TOP = 66
const MIDDLE = 366
const COUNTS_TOP = 392
const BOTTOM = 462

/** How often the network is right where it is so sure: on the dashed line it would be as right as it says. */
export function calibrationSvg({ error, temperature, errorAfter, bins }: CalibrationChart): string {
  const x = linearScale(0, 1, LEFT, RIGHT)
  const y = linearScale(0, 1, MIDDLE, TOP)
  const most = Math.max(1, ...bins.map(({ images }) => images))
  const countTop = (images: number) => BOTTOM - (images / most) * (BOTTOM - COUNTS_TOP)
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const parts = [
    text(LEFT, 22, 'Calibration: is it as right as it is sure?', {
      'font-size': 14,
      'font-weight': 'bold',
    }),
    text(
      LEFT,
      42,
      `expected error ${percent(error)}; ${percent(errorAfter)} with logits divided by ${temperature.toFixed(2)}`,
      {
        'font-size': 11,
        fill: paleInk,
      },
    ),
  ]
  for (const { value, label } of y.ticks) {
    parts.push(element('line', { x1: LEFT, x2: RIGHT, y1: y.at(value), y2: y.at(value), stroke: grid }))
    parts.push(text(LEFT - 6, y.at(value) + 4, label, { 'text-anchor': 'end', 'font-size': 11 }))
  }
  for (const { from, to, images, confidence, accuracy } of bins) {
    if (accuracy === null || confidence === null) continue
    const width = x.at(to) - x.at(from) - 2
    const bar = { x: x.at(from) + 1, width }
    parts.push(element('rect', { ...bar, y: y.at(accuracy), height: MIDDLE - y.at(accuracy), fill: colours[5] }))
    parts.push(element('circle', { cx: x.at(confidence), cy: y.at(accuracy), r: 3, fill: colours[0] }))
    parts.push(element('rect', { ...bar, y: countTop(images), height: BOTTOM - countTop(images), fill: '#bbbbbb' }))
  }
  parts.push(
    element('line', { x1: LEFT, y1: MIDDLE, x2: RIGHT, y2: TOP, stroke: colours[1], 'stroke-dasharray': '5 4' }),
    element('line', { x1: LEFT, x2: RIGHT, y1: MIDDLE, y2: MIDDLE, stroke: ink }),
    element('line', { x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM, stroke: ink }),
    text(LEFT - 6, COUNTS_TOP + 4, String(most), { 'text-anchor': 'end', 'font-size': 11 }),
    text(LEFT - 6, BOTTOM + 2, '0', { 'text-anchor': 'end', 'font-size': 11 }),
    text(LEFT + 6, COUNTS_TOP + 4, 'pictures', { 'font-size': 11, fill: paleInk }),
    text(LEFT + 6, TOP + 14, 'share that is right', { 'font-size': 11, fill: paleInk }),
    text((LEFT + RIGHT) / 2, BOTTOM + 36, 'probability of the predicted class', {
      'text-anchor': 'middle',
      fill: paleInk,
    }),
  )
  for (const { value, label } of x.ticks)
    parts.push(text(x.at(value), BOTTOM + 16, label, { 'text-anchor': 'middle', 'font-size': 11 }))
  return svgDocument(WIDTH, BOTTOM + 50, 'Calibration', parts)
}
