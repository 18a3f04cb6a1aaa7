import { colours, element, ink, paleInk, svgDocument, text } from './svg.ts'

export interface HistogramTile {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly bins: readonly number[]
  /** A line of words below the name. */
  readonly words: string
}

const COLUMNS = 4
const WIDTH = 236
const HEIGHT = 150
const MOST_TILES = 48

/** A small histogram for each layer, in the order of the network; of very many the last ones. */
export function histogramGridSvg(title: string, tiles: readonly HistogramTile[]): string {
  const shown = tiles.slice(-MOST_TILES)
  const rows = Math.max(1, Math.ceil(shown.length / COLUMNS))
  const parts = [text(16, 26, title, { 'font-size': 14, 'font-weight': 'bold', most: 120 })]
  if (shown.length === 0) parts.push(text(16, 70, 'nothing to show'))
  for (const [index, { name, min, max, bins, words }] of shown.entries()) {
    const left = 16 + (index % COLUMNS) * WIDTH
    const top = 44 + Math.floor(index / COLUMNS) * HEIGHT
    const bottom = top + 108
    const width = WIDTH - 28
    parts.push(text(left, top + 12, name, { 'font-size': 11, most: 32 }))
    parts.push(text(left, top + 26, words, { 'font-size': 10, fill: paleInk, most: 44 }))
    const most = Math.max(1, ...bins)
    const bar = width / bins.length
    for (const [bin, count] of bins.entries()) {
      if (count === 0) continue
      // A root makes the few beside a spike of zeros visible.
      const height = Math.max(1, 72 * Math.sqrt(count / most))
      const place = { x: left + bin * bar, y: bottom - height, width: Math.max(1, bar - 0.5), height }
      parts.push(element('rect', { ...place, fill: colours[0] }))
    }
    parts.push(element('line', { x1: left, x2: left + width, y1: bottom, y2: bottom, stroke: ink }))
    const ends = { 'font-size': 10, fill: paleInk }
    parts.push(text(left, bottom + 13, short(min), ends))
    parts.push(text(left + width, bottom + 13, short(max), { ...ends, 'text-anchor': 'end' }))
  }
  parts.push(text(16, 56 + rows * HEIGHT, 'heights: root of the counts', { 'font-size': 10, fill: paleInk }))
  return svgDocument(16 + COLUMNS * WIDTH, 66 + rows * HEIGHT, title, parts)
}

function short(value: number): string {
  return String(Number(value.toPrecision(2)))
}
