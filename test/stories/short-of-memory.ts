import { RegraftError } from '../../src/errors.ts'
import type { Engine } from '../../src/kernels/engine.ts'

/** An engine, whose n-th piece of memory cannot be had; of none with 0. */
export function shortOfMemory(whole: Engine, n: number): { engine: Engine; count: () => number } {
  let calls = 0
  const arena: Engine['arena'] = {
    ...whole.arena,
    allocate(bytes, what, advice) {
      if (++calls === n)
        throw new RegraftError('memory', `${what} needs ${bytes} bytes; injected.\n${advice ?? 'Raise --max-memory.'}`)
      return whole.arena.allocate(bytes, what, advice)
    },
  }
  return { engine: { ...whole, arena }, count: () => calls }
}
