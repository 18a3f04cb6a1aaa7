import { element, grid, ink, paleInk, svgDocument, text } from './svg.ts'

const MOST_SIDE = 1400
const LONGEST_NAME = 24
/** Above, names and numbers would not be readable. */
const MOST_NAMED = 60
const MOST_NUMBERED = 30

/** Rows are true classes, columns what they were taken for; the colour is the share of the row. */
export function confusionSvg(names: readonly string[], counts: readonly (readonly number[])[]): string {
  const classes = names.length
  const cell = Math.max(2, Math.min(44, Math.floor(MOST_SIDE / classes)))
  const named = classes <= MOST_NAMED
  const longest = names.reduce((most, name) => Math.max(most, Math.min(name.length, LONGEST_NAME)), 0)
  const fontSize = Math.max(9, Math.min(12, cell - 3))
  const room = named ? Math.ceil(longest * fontSize * 0.62) + 14 : 14
  const left = room + 24
  const top = room + 62
  const side = cell * classes
  const parts = [
    text(left, 22, 'Confusion: true class by row, predicted class by column', {
      'font-size': 14,
      'font-weight': 'bold',
    }),
    text(
      left,
      40,
      `${classes <= MOST_NUMBERED ? 'numbers: pictures; ' : ''}blue: right, red: wrong, by share of the row`,
      {
        'font-size': 11,
        fill: paleInk,
      },
    ),
  ]
  for (const [row, own] of counts.entries()) {
    const total = own.reduce((sum, count) => sum + count, 0)
    for (const [column, count] of own.entries()) {
      if (count === 0) continue
      const share = count / total
      const x = left + column * cell
      const y = top + row * cell
      const fill = shade(row === column ? [0, 114, 178] : [213, 94, 0], 0.12 + 0.88 * share)
      parts.push(element('rect', { x, y, width: cell, height: cell, fill }))
      if (classes <= MOST_NUMBERED)
        parts.push(
          text(x + cell / 2, y + cell / 2 + 4, String(count), {
            'text-anchor': 'middle',
            'font-size': 11,
            fill: share > 0.55 ? '#ffffff' : ink,
          }),
        )
    }
  }
  for (let line = 0; cell > 6 && line <= classes; line++) {
    const at = line * cell
    parts.push(element('line', { x1: left, x2: left + side, y1: top + at, y2: top + at, stroke: grid }))
    parts.push(element('line', { x1: left + at, x2: left + at, y1: top, y2: top + side, stroke: grid }))
  }
  parts.push(element('rect', { x: left, y: top, width: side, height: side, fill: 'none', stroke: ink }))
  if (named) {
    for (const [index, name] of names.entries()) {
      const centre = index * cell + cell / 2
      const style = { 'font-size': fontSize, most: LONGEST_NAME }
      parts.push(text(left - 6, top + centre + 4, name, { ...style, 'text-anchor': 'end' }))
      const x = left + centre + 4
      parts.push(text(x, top - 6, name, { ...style, transform: `rotate(-90 ${x} ${top - 6})` }))
    }
  }
  return svgDocument(Math.max(left + side, 480) + 20, top + side + 20, 'Confusion matrix', parts)
}

function shade(colour: readonly [number, number, number], share: number): string {
  const parts = colour.map((value) => Math.round(255 + (value - 255) * share))
  return `rgb(${parts.join(',')})`
}
