// What dropout, stochastic depth and DropConnect share: how is decided what is left out, and the call that does it.
import type { ArgumentsOf } from '../kernels/program.ts'
import {
  channelsOf,
  firstInput,
  type Op,
  onlyInput,
  type Place,
  paddedChannels,
  pixelsOf,
  type Recorder,
  rowsOf,
} from './op.ts'

export interface DroppingAttributes {
  /** Share that is left out, from 0 to below 1. */
  readonly rate: number
  /** Integer from 0 to 2^32 - 1 that sets a layer's choices apart from those of other layers. */
  readonly salt: number
}

/** What the kernel does once. */
export interface Dropped {
  readonly from: Place
  /** May be `from`. */
  readonly to: Place
  /** Two integers for each picture. */
  readonly keys: Place
  /** Vectors of four values in a picture. */
  readonly vectors: number
  /** Whether a picture is kept or left out as a whole. */
  readonly together: boolean
  /** 1 adds to what lies at `to`. */
  readonly accumulate: 0 | 1
}

/** Left out is what has a hash, a whole number below 2^32, below this. */
export function thresholdOf(rate: number): number {
  if (!(rate >= 0 && rate < 1)) throw new Error(`a share of ${rate} cannot be left out`)
  return Math.min(Math.round(rate * 2 ** 32), 2 ** 32 - 1)
}

/** What is kept is multiplied by this, so that its sum stays the same on average and prediction needs no scaling. */
export function scaleOf(rate: number): number {
  return Math.fround(1 / (1 - rate))
}

/** The arguments of the kernel `dropout`. The same keys choose the same values, so backward needs no memory of forward. */
export function droppedArguments(
  { rate, salt }: DroppingAttributes,
  { from, to, keys, vectors, together, accumulate }: Dropped,
): ArgumentsOf<'dropout', Place> & [Place, Place, Place, ...number[]] {
  return [from, to, keys, salt, thresholdOf(rate), scaleOf(rate), vectors, together ? 1 : 0, accumulate]
}

/** An operator that leaves out single values, or with `together` pictures as a whole. */
export function droppingOp({ together }: { readonly together: boolean }): Op<DroppingAttributes> {
  const record = (
    attrs: DroppingAttributes,
    recorder: Recorder,
    where: Pick<Dropped, 'from' | 'to' | 'accumulate'>,
  ) => {
    const { shape } = recorder.output
    const vectors = (pixelsOf(shape) * paddedChannels(channelsOf(shape))) / 4
    const args = droppedArguments(attrs, { ...where, keys: recorder.keys('pictures'), vectors, together })
    recorder.flow({ rows: rowsOf(shape) }, 'dropout', args, { perImage: vectors })
  }
  return {
    shape: (_attrs, inputs) => onlyInput(inputs),
    parameters: () => [],
    cost: (_attrs, inputs) => pixelsOf(onlyInput(inputs)) * channelsOf(onlyInput(inputs)),
    forward(attrs, recorder) {
      record(attrs, recorder, { from: firstInput(recorder).place, to: recorder.output.place, accumulate: 0 })
    },
    backward(attrs, recorder) {
      const dInput = recorder.dInputInPlace(0)
      if (dInput) record(attrs, recorder, { from: recorder.dOutput, to: dInput.place, accumulate: dInput.accumulate })
    },
  }
}
