import { throwIfAborted } from '../errors.ts'

/** How much work goes on at a time. */
export interface InOrderOptions {
  /** Pieces of work in progress at most. */
  readonly concurrency: number
  /** Pieces in progress or done and not yet taken, at most. */
  readonly ahead: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The results of work(0) … work(count - 1) in this order, with several in progress while earlier ones are used. An error appears
 * when its turn comes. Ends only after all work in progress has ended, but at once when the signal fires: whoever asks for the end does
 * not wait for a slow disk.
 */
export async function* inOrder<T>(
  count: number,
  work: (position: number) => Promise<T>,
  { concurrency, ahead, signal }: InOrderOptions,
): AsyncGenerator<T, void, undefined> {
  const queue: Promise<T>[] = []
  let started = 0
  let active = 0
  let stopped = false

  const startMore = () => {
    while (!stopped && !signal?.aborted && started < count && active < concurrency && queue.length < ahead) {
      active += 1
      const result = work(started++).finally(() => {
        active -= 1
        startMore()
      })
      // Its turn to be awaited, and to be heard if it failed, comes later.
      result.catch(() => {})
      queue.push(result)
    }
  }

  try {
    for (let position = 0; position < count; position++) {
      throwIfAborted(signal)
      startMore()
      await settledOrAborted(queue[0], signal)
      throwIfAborted(signal)
      const result = await queue.shift()
      startMore()
      // The queue is never empty here: position < count, and ahead and concurrency are at least one.
      yield result as T
    }
  } finally {
    stopped = true
    if (!signal?.aborted) await Promise.allSettled(queue)
  }
}

/** Waits for the end of some work, or for the signal. Each wait listens for itself, so that nothing holds on to results. */
function settledOrAborted(work: Promise<unknown> | undefined, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      signal?.removeEventListener('abort', end)
      resolve()
    }
    signal?.addEventListener('abort', end)
    Promise.resolve(work).then(end, end)
  })
}
