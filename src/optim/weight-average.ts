// A running average of weights, which is often better than the weights themselves: it evens out what single steps do
// (Polyak & Juditsky 1992). It follows by the calls of plain descent on |average - weight|²/2, at the rate 1 - decay.
import { breathing } from '../breath.ts'
import { pow } from '../exact-math.ts'
import type { Engine, RegisteredProgram } from '../kernels/engine.ts'
import type { Parameter, ParameterStore } from '../runtime/parameters.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { optimisers, settingsFor } from './optimisers.ts'

export interface WeightAverage {
  /** average = decay·average + (1 - decay)·weights, to run after a step. */
  readonly program: RegisteredProgram
  /** Where the averages lie, f32. */
  readonly places: readonly { readonly address: number; readonly length: number }[]
  /** Begins with the weights as they are. */
  begin(): void
  /** Sets the decay of the coming step. @param step  steps made before */
  setStep(step: number): void
  /** Exchanges averages and weights; a second time puts both back. */
  swap(): void
  /** The averages by '<parameter>.average', in file layout. */
  state(): Promise<Map<string, HostTensor>>
  restore(state: ReadonlyMap<string, HostTensor>): Promise<void>
  close(): void
}

/** How much of the average is kept after so many steps: little at first, because it began with weights that were not trained; timm's rule. */
export function decayAt(step: number, decay: number): number {
  return Math.min(decay, 1 - pow(1 + step, -2 / 3))
}

const HYPER_FLOATS = 16
const GRAIN = 256
const averageName = (parameter: string) => `${parameter}.average`

/** Bytes that `createWeightAverage` allocates for so many values. */
export function weightAverageBytes(values: number): number {
  return values * 4 + HYPER_FLOATS * 4 + 64
}

/** @param decay  that it comes to in the end, 0…1 */
export function createWeightAverage(
  engine: Engine,
  store: ParameterStore,
  parameters: readonly Parameter[],
  decay: number,
): WeightAverage {
  const values = parameters.reduce((sum, { length }) => sum + length, 0)
  const hyper = engine.arena.allocate(
    weightAverageBytes(values),
    'The average of the weights',
    'Freeze more layers, or leave out --ema.',
  )
  const scale = hyper + HYPER_FLOATS * 4
  // The gradient of |average - weight|²/2: the weight times -1, and the average as its own decay.
  engine.floats(scale, 1).set([-1])
  let next = scale + 64
  const places = parameters.map((parameter) => {
    const place = { parameter, address: next, length: parameter.length }
    next += parameter.length * 4
    return place
  })
  const program = engine.register([
    {
      calls: places.map(({ parameter, address, length }) =>
        optimisers.sgd.update({
          parameter: address,
          gradient: parameter.address,
          state: () => 0,
          hyper,
          scale,
          units: length / 4,
          grain: GRAIN,
        }),
      ),
    },
  ])
  const settings = settingsFor('sgd')
  return {
    program,
    places,
    begin() {
      for (const { parameter, address, length } of places)
        engine.floats(address, length).set(engine.floats(parameter.address, length))
    },
    setStep(step) {
      const table = optimisers.sgd.hyper(1 - decayAt(step, decay), 1, step, settings)
      engine.floats(hyper, HYPER_FLOATS).set(table)
    },
    swap() {
      for (const { parameter, address, length } of places) {
        const average = engine.floats(address, length)
        const weights = engine.floats(parameter.address, length)
        const aside = weights.slice()
        weights.set(average)
        average.set(aside)
      }
    },
    async state() {
      const breath = breathing()
      const tensors = new Map<string, HostTensor>()
      for (const { parameter, address, length } of places) {
        tensors.set(averageName(parameter.name), store.readAs(parameter.name, engine.floats(address, length)))
        if (breath.due()) await breath.pause()
      }
      return tensors
    },
    async restore(state) {
      const breath = breathing()
      for (const { parameter, address, length } of places) {
        const tensor = state.get(averageName(parameter.name))
        if (!tensor) throw new Error(`the average of '${parameter.name}' is missing`)
        store.writeAs(parameter.name, tensor, engine.floats(address, length))
        if (breath.due()) await breath.pause()
      }
    },
    close() {
      engine.forget(program)
      engine.arena.free(hyper)
    },
  }
}
