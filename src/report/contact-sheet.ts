import { element, grid, paleInk, svgDocument, text } from './svg.ts'

export interface SheetTile {
  /** An encoded JPEG; undefined where the picture could not be had. */
  readonly jpeg: Uint8Array | undefined
  /** At most three are shown. */
  readonly lines: readonly string[]
}

const COLUMNS = 6
const SIDE = 160
const GAP = 16
const CAPTION = 54
const TOP = 44

/** Pictures in rows of six with words below each, as one file that needs no other. */
export function contactSheetSvg(title: string, tiles: readonly SheetTile[]): string {
  const rows = Math.max(1, Math.ceil(tiles.length / COLUMNS))
  const parts = [text(GAP, 26, title, { 'font-size': 14, 'font-weight': 'bold' })]
  if (tiles.length === 0) parts.push(text(GAP, TOP + 30, 'none'))
  for (const [index, { jpeg, lines }] of tiles.entries()) {
    const x = GAP + (index % COLUMNS) * (SIDE + GAP)
    const y = TOP + Math.floor(index / COLUMNS) * (SIDE + CAPTION)
    const place = { x, y, width: SIDE, height: SIDE }
    parts.push(
      jpeg === undefined
        ? element('rect', { ...place, fill: 'none', stroke: grid })
        : element('image', { ...place, href: `data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}` }),
    )
    for (const [line, words] of lines.slice(0, 3).entries())
      parts.push(
        text(x, y + SIDE + 14 + 13 * line, words, { 'font-size': 10.5, most: 24, ...(line > 0 && { fill: paleInk }) }),
      )
  }
  return svgDocument(GAP + COLUMNS * (SIDE + GAP), TOP + rows * (SIDE + CAPTION) + GAP, title, parts)
}
