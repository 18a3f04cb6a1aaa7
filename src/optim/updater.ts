// The optimiser's step as programs: measure the gradient, then clip it, update every trainable parameter in place and clear the
// gradients. Two, so that whoever trains can look at the measure in between.
import { breathing } from '../breath.ts'
import type { Engine, RegisteredProgram } from '../kernels/engine.ts'
import { type Call, call, type Step } from '../kernels/program.ts'
import type { Parameter, ParameterStore } from '../runtime/parameters.ts'
import type { Runner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { defaultSettings, type OptimiserName, type OptimiserSettings, optimisers } from './optimisers.ts'

export interface UpdaterOptions {
  readonly optimiser: OptimiserName
  readonly settings?: Partial<OptimiserSettings>
  readonly weightDecay: number
  /** Largest norm of all gradients together; 0 leaves them as they are. */
  readonly clipNorm: number
}

export interface Updater {
  /** Measures the gradients after the backward pass, in the same run. */
  readonly measure: RegisteredProgram
  /** Changes the parameters and ends with cleared gradients. With clipping it goes by the last measure. */
  readonly program: RegisteredProgram
  /** Sets the numbers of the coming step. @param step steps done before */
  setStep(rate: number, step: number): void
  /** Norm of all gradients at the last measure; infinite or NaN when one of them is. */
  gradientNorm(): number
  /** Runs `program`; it cannot be interrupted, so a step is made or not made. */
  update(): Promise<void>
  /** Clears the gradients without having used them. */
  discard(): Promise<void>
  /** What the optimiser keeps, by '<parameter>.<state>', in file layout. */
  state(): Promise<Map<string, HostTensor>>
  restore(state: ReadonlyMap<string, HostTensor>): Promise<void>
  close(): void
}

const HYPER_FLOATS = 16
const SQUARES_BLOCK = 4096
const UPDATE_GRAIN = 256

/** Scale and shift of norms and biases are not decayed: they are few, and pulling them to zero only hurts. */
function decays(parameter: Parameter): boolean {
  return parameter.spec.kind === 'weight'
}

/** Bytes that `createUpdater` allocates for so many trainable values. */
export function updaterBytes(optimiser: OptimiserName, values: number): number {
  return optimisers[optimiser].state.length * values * 4 + Math.ceil(values / SQUARES_BLOCK) * 8 + 1024
}

export function createUpdater(engine: Engine, runner: Runner, store: ParameterStore, options: UpdaterOptions): Updater {
  const optimiser = optimisers[options.optimiser]
  const settings = { ...defaultSettings, ...options.settings }
  const trainable = store.parameters.filter((parameter) => runner.gradientAddress(parameter.name) !== undefined)
  const stateFloats = trainable.reduce((sum, { length }) => sum + length, 0) * optimiser.state.length
  const { address: gradients, length: gradientFloats } = runner.gradientRegion()
  const blocks = Math.ceil(gradientFloats / SQUARES_BLOCK)

  // decayed table, undecayed table, clip result (scale, norm), partial squares (f64), state
  const tableBytes = HYPER_FLOATS * 4 * 2 + 64
  const base = engine.arena.allocate(
    tableBytes + blocks * 8 + 64 + stateFloats * 4 + 64,
    'The state of the optimiser',
    'Freeze more layers, or use --opt sgd.',
  )
  const tables = [base, base + HYPER_FLOATS * 4] as const
  const clip = base + HYPER_FLOATS * 8
  const partials = base + tableBytes
  let next = partials + Math.ceil((blocks * 8) / 64) * 64
  const places = new Map<string, { parameter: Parameter; addresses: number[] }>()
  for (const parameter of trainable) {
    const addresses = optimiser.state.map(() => {
      const address = next
      next += parameter.length * 4
      return address
    })
    places.set(parameter.name, { parameter, addresses })
  }

  const scale = options.clipNorm > 0 ? clip : 0
  const mostNorm = options.clipNorm > 0 ? options.clipNorm : Number.POSITIVE_INFINITY
  const measure = engine.register([
    call<'sumSquares', number>('sumSquares', [gradients, gradientFloats, partials], blocks),
    call<'clipScale', number>('clipScale', [partials, blocks, mostNorm, clip], 1),
  ])
  const updates = [...places.values()].map(({ parameter, addresses }): Call => {
    const gradient = runner.gradientAddress(parameter.name) ?? 0
    const [first = 0, second = 0] = addresses
    const hyper = tables[decays(parameter) ? 0 : 1]
    const units = parameter.length / 4
    return optimiser.kernel === 'sgd'
      ? call<'sgd', number>('sgd', [parameter.address, gradient, first, hyper, scale], units, UPDATE_GRAIN)
      : call<'adamw', number>('adamw', [parameter.address, gradient, first, second, hyper, scale], units, UPDATE_GRAIN)
  })
  const clear = call<'fill', number>('fill', [gradients, 0], gradientFloats / 4, UPDATE_GRAIN)
  const steps: readonly (Call | Step)[] = [{ calls: updates }, clear]
  const program = engine.register(steps)
  const clearing = engine.register([clear])

  return {
    measure,
    program,
    setStep(rate, step) {
      engine.floats(tables[0], HYPER_FLOATS).set(optimiser.hyper(rate, options.weightDecay, step, settings))
      engine.floats(tables[1], HYPER_FLOATS).set(optimiser.hyper(rate, 0, step, settings))
    },
    gradientNorm: () => engine.floats(clip, 2)[1] ?? Number.NaN,
    update: () => engine.run([program], 1),
    discard: () => engine.run([clearing], 1),
    async state() {
      const breath = breathing()
      const tensors = new Map<string, HostTensor>()
      for (const [name, { parameter, addresses }] of places) {
        for (const [index, kept] of optimiser.state.entries()) {
          tensors.set(`${name}.${kept}`, store.readAs(name, engine.floats(addresses[index] ?? 0, parameter.length)))
          if (breath.due()) await breath.pause()
        }
      }
      return tensors
    },
    async restore(state) {
      const breath = breathing()
      for (const [name, { parameter, addresses }] of places) {
        for (const [index, kept] of optimiser.state.entries()) {
          const tensor = state.get(`${name}.${kept}`)
          if (!tensor) throw new Error(`the optimiser's state lacks '${name}.${kept}'`)
          store.writeAs(name, tensor, engine.floats(addresses[index] ?? 0, parameter.length))
          if (breath.due()) await breath.pause()
        }
      }
    },
    close() {
      for (const each of [measure, program, clearing]) engine.forget(each)
      engine.arena.free(base)
    },
  }
}
