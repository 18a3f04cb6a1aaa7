// What the programs have in common: panels side by side, and where the picture goes.
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { lineChart, type Panel } from '../../src/report/line-chart.ts'
import { svgDocument } from '../../src/report/svg.ts'

const [HEIGHT, COLUMNS] = [300, 2]

/** Charts in rows of two. @param width  of each, in pixels */
export function panelsSvg(title: string, panels: readonly Panel[], width = 460): string {
  const columns = Math.min(COLUMNS, panels.length)
  const charts = panels.map((panel, at) =>
    lineChart(panel, (at % columns) * width, Math.floor(at / columns) * HEIGHT, width, HEIGHT),
  )
  return svgDocument(columns * width, Math.ceil(panels.length / columns) * HEIGHT, title, charts)
}

/** A curve over epochs, or whatever is counted from 1. */
export function overEpochs(name: string, values: readonly number[], dashed = false) {
  return { name, points: values.map((value, at) => [at + 1, value] as const), dashed }
}

/** Draws when the file is run, and not when a test imports it. `--out FILE.svg` says where to; stdout when left out. */
export async function whenRun(file: string, draw: () => Promise<string>): Promise<void> {
  if (process.argv[1] === undefined || pathToFileURL(process.argv[1]).href !== file) return
  const { out } = parseArgs({ options: { out: { type: 'string' } } }).values
  const svg = await draw()
  if (out === undefined) process.stdout.write(svg)
  else writeFileSync(out, svg)
}
