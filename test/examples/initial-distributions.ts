// How far activations come through ten layers of tanh, by how the weights begin.
import { histogramGridSvg } from '../../src/report/histogram-grid.ts'
import { statisticsOf, type ValueStatistics } from '../../src/train/value-statistics.ts'
import { activationsOf } from './digit-network.ts'
import { type Digits, drawDigits } from './digits.ts'
import { whenRun } from './picture.ts'

const DEPTH = 10
const UNITS = 300
/** Layers that are shown. */
const SHOWN = [1, 2, 5, 10]

export interface Layer {
  readonly start: string
  /** From 1. */
  readonly layer: number
  readonly statistics: ValueStatistics
  /** Share of units at the ends of tanh, where its slope is under 2 %. */
  readonly saturated: number
}

/** Every layer before anything was learnt, for each way to begin. */
export async function initialDistributions(): Promise<readonly Layer[]> {
  const plain = centred(drawDigits(100, 1))
  const bytes = { ...plain, pixels: plain.pixels.map((value) => 255 * value) }
  const ways: readonly (readonly [start: string, init: string, digits: Digits])[] = [
    ['normal:0.01', 'normal:0.01', plain],
    ['normal:0.05', 'normal:0.05', plain],
    ['normal:0.05 on bytes', 'normal:0.05', bytes],
    ['standard-normal', 'standard-normal', plain],
    ['xavier-normal', 'xavier-normal', plain],
  ]
  const layers: Layer[] = []
  for (const [start, init, digits] of ways) {
    const setting = { hidden: new Array<number>(DEPTH).fill(UNITS), activation: 'tanh', init } as const
    const values = [...(await activationsOf(setting, digits)).values()]
    for (const [index, each] of values.entries()) {
      const statistics = statisticsOf(each)
      if (!statistics) throw new Error('an activation is not finite')
      const saturated = each.reduce((count, value) => count + (Math.abs(value) > 0.99 ? 1 : 0), 0) / each.length
      layers.push({ start, layer: index + 1, statistics, saturated })
    }
  }
  return layers
}

/** Mean 0 and deviation 1 over all pixels. */
function centred(digits: Digits): Digits {
  const { mean = 0, deviation = 1 } = statisticsOf(digits.pixels) ?? {}
  return { ...digits, pixels: digits.pixels.map((value) => (value - mean) / deviation) }
}

await whenRun(import.meta.url, async () => {
  const layers = (await initialDistributions()).filter(({ layer }) => SHOWN.includes(layer))
  return histogramGridSvg(
    `Activations of ${DEPTH} layers of ${UNITS} tanh units at the beginning`,
    layers.map(({ start, layer, statistics, saturated }) => ({
      ...statistics,
      name: `${start}, layer ${layer}`,
      words: `deviation ${Number(statistics.deviation.toPrecision(2))}, ${Math.round(100 * saturated)} % saturated`,
    })),
  )
})
