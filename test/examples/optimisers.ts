// How optimisers go along a valley and leave a saddle, each step made by the library's own kernel.
import { createEngine, type Engine } from '../../src/kernels/engine.ts'
import { type OptimiserName, optimisers, settingsFor } from '../../src/optim/optimisers.ts'
import { panelsSvg, whenRun } from './picture.ts'

type Point = readonly [x: number, y: number]

export interface Surface {
  readonly height: (point: Point) => number
  readonly slope: (point: Point) => Point
  readonly start: Point
  readonly steps: number
}

/** Forty times as steep across as along; its bottom is at (0, 0). */
export const valley: Surface = {
  height: ([x, y]) => (x * x) / 40 + y * y,
  slope: ([x, y]) => [x / 20, 2 * y],
  start: [-8, 2],
  steps: 120,
}

/** Falls along y, from a start that is nearly on the ridge. */
export const saddle: Surface = {
  height: ([x, y]) => x * x - y * y,
  slope: ([x, y]) => [2 * x, -2 * y],
  start: [1, 1e-3],
  steps: 60,
}

/** For each the same on both surfaces: those that scale by the gradient make steps of about the rate. */
export const rates: Readonly<Partial<Record<OptimiserName, number>>> = {
  sgd: 0.1,
  momentum: 0.1,
  nesterov: 0.1,
  adagrad: 0.3,
  rmsprop: 0.1,
  adam: 0.1,
}

/** The ways of all of them, the start included. */
export async function descend({ slope, start, steps }: Surface): Promise<ReadonlyMap<string, readonly Point[]>> {
  const engine = createEngine({ threads: 1, simd: 'baseline' })
  try {
    const ways = new Map<string, readonly Point[]>()
    for (const [name, rate] of Object.entries(rates)) {
      const stepper = stepperOf(engine, name as OptimiserName, rate)
      const way: Point[] = [start]
      for (let step = 0, at = start; step < steps; step++) {
        at = await stepper(at, slope(at), step)
        way.push(at)
      }
      ways.set(name, way)
    }
    return ways
  } finally {
    await engine.close()
  }
}

/** Steps of two numbers in the kernels' memory. */
function stepperOf(engine: Engine, name: OptimiserName, rate: number) {
  const optimiser = optimisers[name]
  const settings = settingsFor(name, {})
  const place = (floats: number) => engine.arena.allocate(4 * floats, 'an example')
  const [parameter, gradient, hyper] = [place(4), place(4), place(16)]
  const states = new Map(optimiser.state(settings).map((state) => [state, place(4)]))
  const state = (wanted: string) => states.get(wanted) ?? 0
  const program = engine.register([
    optimiser.update({ parameter, gradient, state, hyper, scale: 0, units: 1, grain: 1 }),
  ])
  return async (at: Point, slope: Point, step: number): Promise<Point> => {
    engine.floats(parameter, 2).set(at)
    engine.floats(gradient, 2).set(slope)
    const numbers = optimiser.hyper(rate, 0, step, settings)
    engine.floats(hyper, numbers.length).set(numbers)
    await engine.run([program], 1)
    const [x = Number.NaN, y = Number.NaN] = engine.floats(parameter, 2)
    return [x, y]
  }
}

await whenRun(import.meta.url, async () => {
  const [along, off] = [await descend(valley), await descend(saddle)]
  const heights = (ways: typeof along, { height }: Surface, least: number) =>
    [...ways].map(([name, way]) => ({
      name,
      points: way.map((point, step) => [step, Math.max(least, height(point))] as const),
    }))
  const lines = (ways: typeof along, within: number) =>
    [...ways].map(([name, way]) => ({ name, points: way.filter(([, y]) => Math.abs(y) < within) }))
  return panelsSvg(
    'Optimisers',
    [
      { title: 'A valley seen from above: from (-8, 2) to (0, 0)', xLabel: 'x', series: lines(along, 10) },
      { title: 'Height in the valley', xLabel: 'step', series: heights(along, valley, 1e-6), logarithmic: true },
      { title: 'A saddle seen from above: from (1, 0.001)', xLabel: 'x', series: lines(off, 2) },
      { title: 'Height on the saddle, which has no bottom', xLabel: 'step', series: heights(off, saddle, -4) },
    ],
    600,
  )
})
