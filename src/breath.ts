import { setImmediate as nextTurn } from 'node:timers/promises'

/** Splits long work of the main thread so that events, signals and progress get their turn. Never changes a result. */
export interface Breath {
  /** Whether the work has gone on for long enough. */
  due(): boolean
  /** Lets everything else run once. */
  pause(): Promise<void>
}

/** Opens a breath that is due every few milliseconds. */
export function breathing(everyMs = 10): Breath {
  let last = performance.now()
  return {
    due: () => performance.now() - last >= everyMs,
    async pause() {
      await nextTurn()
      last = performance.now()
    },
  }
}
