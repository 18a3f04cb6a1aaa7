/** A plot for terminals: dots on a grid of characters, with the least and largest values beside it. */
export interface TextPlot {
  /** Points that are not finite, or above `most`, are left out. */
  readonly points: readonly (readonly [number, number])[]
  readonly most: number
  readonly width: number
  readonly height: number
  /** Places on the horizontal axis with a letter below it. */
  readonly marks: readonly { readonly x: number; readonly letter: string }[]
  /** How a place on the horizontal axis is written. */
  readonly label: (x: number) => string
}

export function textPlot({ points, most, width, height, marks, label }: TextPlot): string {
  const shown = points.filter(([x, y]) => Number.isFinite(x) && y <= most)
  if (shown.length === 0) return 'nothing to show\n'
  const xs = points.map(([x]) => x)
  const ys = shown.map(([, y]) => y)
  const [left, right] = [Math.min(...xs), Math.max(...xs)]
  const [low, high] = [Math.min(...ys), Math.max(...ys)]
  const column = (x: number) => (right > left ? Math.round(((x - left) / (right - left)) * (width - 1)) : 0)
  const line = (y: number) => (high > low ? Math.round(((high - y) / (high - low)) * (height - 1)) : 0)
  const rows = Array.from({ length: height }, () => new Array<string>(width).fill(' '))
  for (const [x, y] of shown) {
    const row = rows[line(y)]
    if (row) row[column(x)] = '•'
  }
  const names = rows.map((_, at) => (at === 0 ? high.toPrecision(3) : at === height - 1 ? low.toPrecision(3) : ''))
  const margin = Math.max(...names.map(({ length }) => length))
  const axis = new Array<string>(width).fill('─')
  for (const { x, letter } of marks) if (x >= left && x <= right) axis[column(x)] = letter
  const ends = `${label(left)}${label(right).padStart(width - label(left).length)}`
  return [
    ...rows.map((row, at) => `${(names[at] ?? '').padStart(margin)} │${row.join('')}`.trimEnd()),
    `${' '.repeat(margin)} └${axis.join('')}`,
    `${' '.repeat(margin)}  ${ends}`,
    '',
  ].join('\n')
}
