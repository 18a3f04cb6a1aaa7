import { linearScale, logScale, type Scale } from './scale.ts'
import { colours, element, grid, ink, paleInk, text } from './svg.ts'

export interface Series {
  readonly name: string
  /** Points that are not finite, or not above zero on a logarithmic scale, leave a gap. */
  readonly points: readonly (readonly [number, number])[]
  readonly dashed?: boolean
}

export interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly series: readonly Series[]
  readonly logarithmic?: boolean
  /** What the vertical scale reaches at least. */
  readonly reach?: readonly [number, number]
  /** A vertical line, with a word at it. */
  readonly mark?: { readonly x: number; readonly word: string }
}

const LEFT = 62
const RIGHT = 16
const TOP = 34
const BOTTOM = 44

/** A chart of lines with its axes, at (left, top). The names of the series stand below the title. */
export function lineChart(panel: Panel, left: number, top: number, width: number, height: number): string {
  const { series, logarithmic = false, reach = [], mark } = panel
  const drawable = ([x, y]: readonly [number, number]) =>
    Number.isFinite(x) && Number.isFinite(y) && (!logarithmic || y > 0)
  const shown = series.flatMap(({ points }) => points.filter(drawable))
  const xs = shown.map(([x]) => x)
  const ys = [...shown.map(([, y]) => y), ...reach]
  const legendHeight = 16
  const place = {
    left: left + LEFT,
    right: left + width - RIGHT,
    top: top + TOP + legendHeight,
    bottom: top + height - BOTTOM,
  }
  const parts = [text(left + LEFT, top + 18, panel.title, { 'font-size': 14, 'font-weight': 'bold' })]
  if (shown.length === 0) {
    parts.push(text((place.left + place.right) / 2, (place.top + place.bottom) / 2, 'nothing to show', middle))
    return parts.join('\n')
  }
  const lowX = least(xs)
  const highX = most(xs)
  const x = wholeScale(lowX, highX, place.left, place.right)
  const y = (logarithmic ? logScale : linearScale)(least(ys), most(ys), place.bottom, place.top)
  for (const { value, label } of y.ticks) {
    const at = y.at(value)
    parts.push(element('line', { x1: place.left, x2: place.right, y1: at, y2: at, stroke: grid }))
    parts.push(text(place.left - 6, at + 4, label, { 'text-anchor': 'end', 'font-size': 11 }))
  }
  for (const { value, label } of x.ticks) {
    const at = x.at(value)
    if (at > place.right + 0.5) continue
    parts.push(element('line', { x1: at, x2: at, y1: place.bottom, y2: place.bottom + 4, stroke: ink }))
    parts.push(text(at, place.bottom + 17, label, { ...middle, 'font-size': 11 }))
  }
  parts.push(element('line', { x1: place.left, x2: place.right, y1: place.bottom, y2: place.bottom, stroke: ink }))
  parts.push(text((place.left + place.right) / 2, place.bottom + 35, panel.xLabel, { ...middle, fill: paleInk }))
  if (mark) {
    const at = x.at(mark.x)
    parts.push(
      element('line', { x1: at, x2: at, y1: place.top, y2: place.bottom, stroke: paleInk, 'stroke-dasharray': '2 3' }),
    )
    const rightHalf = at > (place.left + place.right) / 2
    parts.push(
      text(at + (rightHalf ? -5 : 5), place.top + 12, mark.word, {
        'font-size': 11,
        fill: paleInk,
        'text-anchor': rightHalf ? 'end' : 'start',
      }),
    )
  }
  let legend = place.left
  for (const [index, { name, points, dashed }] of series.entries()) {
    const stroke = colours[index % colours.length]
    const style = { stroke, 'stroke-width': 1.8, 'stroke-dasharray': dashed ? '5 4' : undefined }
    parts.push(...linesOf(points, drawable, x, y, style))
    parts.push(element('line', { x1: legend, x2: legend + 18, y1: top + 32, y2: top + 32, ...style }))
    parts.push(text(legend + 23, top + 36, name, { 'font-size': 11 }))
    legend += 23 + 7 * name.length + 18
  }
  return parts.join('\n')
}

const middle = { 'text-anchor': 'middle' } as const

/** A polyline for each stretch without a gap; a lone point is a dot. */
function linesOf(
  points: Series['points'],
  drawable: (point: readonly [number, number]) => boolean,
  x: Scale,
  y: Scale,
  style: Readonly<Record<string, string | number | undefined>>,
): string[] {
  const stretches: (readonly [number, number])[][] = [[]]
  for (const point of points) {
    if (drawable(point)) stretches.at(-1)?.push(point)
    else stretches.push([])
  }
  return stretches
    .filter(({ length }) => length > 0)
    .map((stretch) => {
      const [first] = stretch
      if (stretch.length === 1 && first)
        return element('circle', { cx: x.at(first[0]), cy: y.at(first[1]), r: 3, fill: style['stroke'] })
      const path = stretch.map(([px, py]) => `${x.at(px).toFixed(1)},${y.at(py).toFixed(1)}`).join(' ')
      return element('polyline', { points: path, fill: 'none', 'stroke-linejoin': 'round', ...style })
    })
}

/** From the first to the last value, ticks at whole round numbers. */
function wholeScale(low: number, high: number, from: number, to: number): Scale {
  const span = high - low
  if (span === 0) return { at: () => (from + to) / 2, ticks: [{ value: low, label: String(low) }] }
  const { ticks } = linearScale(low, high, from, to, 8)
  return {
    at: (value) => from + ((value - low) / span) * (to - from),
    ticks: ticks
      .filter(({ value }) => Number.isInteger(value) && value >= low && value <= high)
      .map(({ value }) => ({ value, label: String(value) })),
  }
}

// A training may have more steps than a call takes arguments.
const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
