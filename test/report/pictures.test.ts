// Every picture is drawn from stored data and rendered: what a browser would refuse, the renderer refuses too.
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { calibrationSvg } from '../../src/report/calibration-chart.ts'
import { confusionSvg } from '../../src/report/confusion-chart.ts'
import { contactSheetSvg } from '../../src/report/contact-sheet.ts'
import { curvesSvg } from '../../src/report/curves.ts'
import { filterSheet } from '../../src/report/filter-sheet.ts'
import { histogramGridSvg } from '../../src/report/histogram-grid.ts'
import { lineChart } from '../../src/report/line-chart.ts'
import { svgDocument } from '../../src/report/svg.ts'
import { updatesSvg } from '../../src/report/update-chart.ts'
import { drawPicture } from '../stories/drawn-pictures.ts'
import stored from './stored-run.json' with { type: 'json' }

const hostile = '<script>alert("1")</script>&\u0000\u001b]0;title\u0007\u202egnp\uffff'

/** Size of the rendered picture, and how much of it is not white. */
async function rendered(svg: string): Promise<{ width: number; height: number; inked: number }> {
  const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  let inked = 0
  for (let at = 0; at < data.length; at += info.channels) if ((data[at] ?? 255) < 250) inked++
  return { width: info.width, height: info.height, inked: inked / (info.width * info.height) }
}

const matrix = (names: readonly string[]) =>
  names.map((_, row) => names.map((_, column) => (row === column ? 20 + row : (row * 7 + column * 3) % 4)))

const pictures: Readonly<Record<string, () => string | Promise<string>>> = {
  curves: () => curvesSvg(stored.history, 4),
  'curves of one epoch': () => curvesSvg(stored.history.slice(0, 1), 1),
  'curves with a loss that is no number': () =>
    curvesSvg(
      stored.history.map((epoch) => ({
        ...epoch,
        validationLoss: epoch.epoch === 2 ? Number.NaN : epoch.validationLoss,
      })),
      0,
    ),
  confusion: () => confusionSvg(stored.classes, stored.confusion),
  'confusion of 2': () => confusionSvg(['a', 'b'], matrix(['a', 'b'])),
  'confusion of 120': () => {
    const names = Array.from({ length: 120 }, (_, index) => `class ${index}`)
    return confusionSvg(names, matrix(names))
  },
  'confusion of hostile names': () => confusionSvg([hostile, 'b'], matrix(['a', 'b'])),
  calibration: () => calibrationSvg(stored.calibration),
  'contact sheet': async () => {
    const raw = { width: 40, height: 40, channels: 3 } as const
    const jpeg = await sharp(drawPicture('disc', 1, 40), { raw })
      .jpeg()
      .toBuffer()
    const tile = { jpeg, lines: ['said a 93 %', 'is b (0.3 %)', hostile] }
    return contactSheetSvg('The worst mistakes', [
      tile,
      tile,
      { jpeg: undefined, lines: ['gone'] },
      tile,
      tile,
      tile,
      tile,
    ])
  },
  updates: () => updatesSvg(stored.updates.map(([stepsDone = 0, ratio = 0]) => ({ stepsDone, parameter: 'w', ratio }))),
  histograms: () => histogramGridSvg('Activations, epoch 3', stored.histograms),
  'histograms of hostile names': () =>
    histogramGridSvg(hostile, [{ name: hostile, words: hostile, min: 0, max: 0, bins: [0, 7, 0] }]),
  'contact sheet without a mistake': () => contactSheetSvg('The worst mistakes', []),
}

test.each(Object.entries(pictures))('%s', async (_, draw) => {
  const svg = await draw()
  const { width, height, inked } = await rendered(svg)
  expect(width).toBeGreaterThan(100)
  expect(height).toBeGreaterThan(60)
  expect(inked).toBeGreaterThan(0.003)
  // Whatever a name holds, it stays text, and nothing is loaded from elsewhere.
  expect(svg).not.toMatch(/<script|NaN|Infinity|undefined|\u0000|\u202e|\uffff/)
  expect(svg.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/)
})

test('filters are tiles on white, grey where a weight is zero', () => {
  // One filter of one pixel: red at its largest, green at its least, no blue; and one of zeros.
  const { bytes, width, height } = filterSheet(Float32Array.of(2, -2, 0, 0, 0, 0), 2, 1, 1)
  expect([width, height]).toEqual([4 + 2 * 52, 4 + 52])
  const pixel = (x: number, y: number) => [...bytes.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)]
  expect(pixel(0, 0)).toEqual([255, 255, 255])
  expect(pixel(10, 10)).toEqual([255, 0, 128])
  expect(pixel(70, 10)).toEqual([128, 128, 128])
})

test('a logarithmic chart leaves out what has no logarithm', async () => {
  const points = [
    [1, 1e-3],
    [2, 0],
    [3, 1e-4],
    [4, 2e-3],
  ] as const
  const chart = lineChart(
    { title: 't', xLabel: 'x', logarithmic: true, series: [{ name: 's', points }] },
    0,
    0,
    400,
    300,
  )
  expect(chart.match(/<polyline/g)).toHaveLength(1)
  expect(chart.match(/<circle/g)).toHaveLength(1)
  expect((await rendered(svgDocument(400, 300, 't', [chart]))).inked).toBeGreaterThan(0.003)
})
