import type { Engine } from '../kernels/engine.ts'
import type { Parameter } from '../runtime/parameters.ts'

/** What forward passes of training leave behind besides their outputs: running statistics and how often they were updated. */
export interface ForwardTraces {
  /** Keeps them as they are before a step. */
  remember(): void
  /** Puts them back: the step is not made. */
  undo(): void
}

/** @param counters  changed by whoever runs the batches */
export function forwardTraces(
  engine: Engine,
  statistics: readonly Parameter[],
  counters: Map<string, number>,
): ForwardTraces {
  let values: readonly Float32Array[] = []
  let counts: ReadonlyMap<string, number> = new Map()
  return {
    remember() {
      values = statistics.map(({ address, length }) => engine.floats(address, length).slice())
      counts = new Map(counters)
    },
    undo() {
      for (const [index, { address, length }] of statistics.entries())
        engine.floats(address, length).set(values[index] ?? [])
      for (const [name, count] of counts) counters.set(name, count)
    },
  }
}
