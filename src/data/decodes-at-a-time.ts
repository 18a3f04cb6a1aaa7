import { availableParallelism } from 'node:os'

/**
 * Pictures in the making at a time, when nothing else is said. One more than there are cores, so that none is idle while a picture is being read.
 * Each has at most one job in libuv's pool, or a worker that resizes it: a pool of this size (cli/regraft.cts sets it) is neither too
 * small for them nor larger than they can use.
 */
export function decodesAtATime(): number {
  return availableParallelism() + 1
}
