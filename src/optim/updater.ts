// The optimiser's step as programs: measure the gradient, then clip it, update every trainable parameter in place and clear the
// gradients. Two, so that whoever trains can look at the measure in between.
import { breathing } from '../breath.ts'
import type { Engine, RegisteredProgram } from '../kernels/engine.ts'
import { call } from '../kernels/program.ts'
import type { Parameter, ParameterStore } from '../runtime/parameters.ts'
import type { Runner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type Optimiser, type OptimiserName, type OptimiserSettings, optimisers, settingsFor } from './optimisers.ts'
import { type PenaltyStrength, penaltyGradients, penaltyOf } from './penalty.ts'

export interface UpdaterOptions {
  readonly optimiser: OptimiserName
  readonly settings?: Partial<OptimiserSettings>
  /** As the optimiser means it: added to the gradient, in adamw decoupled from it. */
  readonly weightDecay: number
  /** Added to the loss; nothing when left out. */
  readonly penalty?: PenaltyStrength
  /** What decay and penalty pull at: weights alone, or all that trains. */
  readonly decayed?: 'weights' | 'all'
  /** Multiplies the rate of a parameter; 1 when left out. */
  readonly rateScale?: (parameter: Parameter) => number
  /** Epochs in which a parameter does not change yet; 0 when left out. */
  readonly waits?: (parameter: Parameter) => number
  /** Largest norm of all gradients together; 0 leaves them as they are. */
  readonly clipNorm: number
}

export interface Updater {
  /** Adds the gradient of the penalty and measures the gradients, after the backward pass and in the same run. */
  readonly measure: RegisteredProgram
  /** Changes the parameters and ends with cleared gradients. With clipping it goes by the last measure. */
  readonly program: RegisteredProgram
  /**
   * Sets the numbers of the coming step.
   * @param step      steps done before
   * @param momentum  instead of the momentum that was set, where the optimiser has one; of adam and adamw beta1
   * @param epochs    done before; all that waits has waited long enough when left out
   */
  setStep(rate: number, step: number, momentum?: number, epochs?: number): void
  /** Norm of all gradients at the last measure; infinite or NaN when one of them is. */
  gradientNorm(): number
  /** Runs `program`, and what belongs to the step besides; it cannot be interrupted, so a step is made or not made. */
  update(more?: readonly RegisteredProgram[]): Promise<void>
  /** Clears the gradients without having used them. */
  discard(): Promise<void>
  /** What the weights cost now, which the losses of a run do not contain. */
  penalty(): Promise<number>
  /** What the optimiser keeps, by '<parameter>.<state>', in file layout. */
  state(): Promise<Map<string, HostTensor>>
  restore(state: ReadonlyMap<string, HostTensor>): Promise<void>
  close(): void
}

const HYPER_FLOATS = 16
const SQUARES_BLOCK = 4096
const UPDATE_GRAIN = 256

/** Bytes that `createUpdater` allocates for so many trainable values of so many parameters. */
export function updaterBytes(
  { optimiser, settings }: Pick<UpdaterOptions, 'optimiser' | 'settings'>,
  values: number,
  parameters: number,
): number {
  const kept = optimisers[optimiser].state(settingsFor(optimiser, settings)).length
  return kept * values * 4 + Math.ceil(values / SQUARES_BLOCK) * 8 + (parameters + 4) * HYPER_FLOATS * 4
}

export function createUpdater(engine: Engine, runner: Runner, store: ParameterStore, options: UpdaterOptions): Updater {
  const optimiser: Optimiser = optimisers[options.optimiser]
  const settings = settingsFor(options.optimiser, options.settings)
  const states = optimiser.state(settings)
  const trainable = store.parameters.filter((parameter) => runner.gradientAddress(parameter.name) !== undefined)
  const groups = groupsOf(trainable, options)
  const stateFloats = trainable.reduce((sum, { length }) => sum + length, 0) * states.length
  const { address: gradients, length: gradientFloats } = runner.gradientRegion()
  const blocks = Math.ceil(gradientFloats / SQUARES_BLOCK)

  // a table for each group, clip result (scale, norm), partial squares (f64), state
  const tableBytes = groups.length * HYPER_FLOATS * 4
  const base = engine.arena.allocate(
    tableBytes + 64 + blocks * 8 + 64 + stateFloats * 4 + 64,
    'The state of the optimiser',
    'Freeze more layers, or use --opt sgd.',
  )
  const clip = base + tableBytes
  const partials = clip + 64
  let next = partials + Math.ceil((blocks * 8) / 64) * 64
  const places = new Map<string, Place>()
  for (const parameter of trainable) {
    const addresses = new Map<string, number>()
    for (const state of states) {
      addresses.set(state, next)
      next += parameter.length * 4
    }
    const gradient = runner.gradientAddress(parameter.name) ?? 0
    const index = groups.findIndex(({ members }) => members.has(parameter))
    const decays = groups[index]?.decays ?? false
    places.set(parameter.name, { parameter, gradient, decays, hyper: base + index * HYPER_FLOATS * 4, addresses })
  }
  const penalised = [...places.values()]
    .filter(({ decays }) => decays)
    .map(({ parameter: { address, length }, gradient }) => ({ address, gradient, length }))
  const strength = options.penalty ?? { l2: 0, l1: 0 }

  const scale = options.clipNorm > 0 ? clip : 0
  const mostNorm = options.clipNorm > 0 ? options.clipNorm : Number.POSITIVE_INFINITY
  const measure = engine.register([
    ...penaltyGradients(strength, penalised, UPDATE_GRAIN),
    call<'sumSquares', number>('sumSquares', [gradients, gradientFloats, partials], blocks),
    call<'clipScale', number>('clipScale', [partials, blocks, mostNorm, clip], 1),
  ])
  const updates = [...places.values()].map(({ parameter, gradient, hyper, addresses }) =>
    optimiser.update({
      parameter: parameter.address,
      gradient,
      state: (name) => addresses.get(name) ?? 0,
      hyper,
      scale,
      units: parameter.length / 4,
      grain: UPDATE_GRAIN,
    }),
  )
  const clear = call<'fill', number>('fill', [gradients, 0], gradientFloats / 4, UPDATE_GRAIN)
  // No update knows of another one.
  const program = engine.register([{ calls: updates }, clear])
  const clearing = engine.register([clear])

  return {
    measure,
    program,
    setStep(rate, step, momentum, epochs = Number.POSITIVE_INFINITY) {
      const now = momentum === undefined ? settings : optimiser.withMomentum(settings, momentum)
      for (const [index, group] of groups.entries()) {
        const weightDecay = group.decays ? options.weightDecay : 0
        const groupRate = epochs < group.waits ? 0 : rate * group.rateScale
        const table = optimiser.hyper(groupRate, weightDecay, step, now)
        engine.floats(base + index * HYPER_FLOATS * 4, HYPER_FLOATS).set(table)
      }
    },
    gradientNorm: () => engine.floats(clip, 2)[1] ?? Number.NaN,
    update: (more = []) => engine.run([program, ...more], 1),
    discard: () => engine.run([clearing], 1),
    penalty: () => penaltyOf(engine, strength, penalised),
    async state() {
      const breath = breathing()
      const tensors = new Map<string, HostTensor>()
      for (const [name, { parameter, addresses }] of places) {
        for (const [kept, address] of addresses) {
          tensors.set(`${name}.${kept}`, store.readAs(name, engine.floats(address, parameter.length)))
          if (breath.due()) await breath.pause()
        }
      }
      return tensors
    },
    async restore(state) {
      const breath = breathing()
      for (const [name, { parameter, addresses }] of places) {
        for (const [kept, address] of addresses) {
          const tensor = state.get(`${name}.${kept}`)
          if (!tensor) throw new Error(`the optimiser's state lacks '${name}.${kept}'`)
          store.writeAs(name, tensor, engine.floats(address, parameter.length))
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

interface Place {
  readonly parameter: Parameter
  readonly gradient: number
  readonly decays: boolean
  readonly hyper: number
  /** Of what the optimiser keeps, by name. */
  readonly addresses: ReadonlyMap<string, number>
}

interface Group {
  readonly rateScale: number
  readonly waits: number
  readonly decays: boolean
  readonly members: ReadonlySet<Parameter>
}

/** Parameters that are updated by the same numbers. */
function groupsOf(trainable: readonly Parameter[], { rateScale, waits, decayed }: UpdaterOptions): readonly Group[] {
  const groups = new Map<string, Group & { readonly members: Set<Parameter> }>()
  for (const parameter of trainable) {
    // Scale and shift of norms, slopes and biases are not decayed unless asked for: they are few, and pulling them to zero only hurts.
    const decays = decayed === 'all' || parameter.spec.kind === 'weight'
    const scale = rateScale?.(parameter) ?? 1
    const wait = waits?.(parameter) ?? 0
    const key = `${scale} ${wait} ${decays}`
    const group = groups.get(key) ?? { rateScale: scale, waits: wait, decays, members: new Set() }
    group.members.add(parameter)
    groups.set(key, group)
  }
  return [...groups.values()]
}
