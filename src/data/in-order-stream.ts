import { throwIfAborted } from '../errors.ts'
import type { InOrderOptions } from './in-order.ts'

/**
 * The results of work on items that arrive one after the other, in their order, with several in progress while earlier ones are
 * used. An item is asked for only when there is room for it. Ends only after all work in progress has ended; an error, of the work
 * or of the items, appears when its turn comes.
 */
export async function* inOrderStream<T, R>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  { concurrency, ahead, signal }: InOrderOptions,
): AsyncGenerator<R, void, undefined> {
  const source = items[Symbol.asyncIterator]()
  const queue: Promise<R>[] = []
  let active = 0
  let asking = false
  let ended = false
  let stopped = false
  let failure: { readonly cause: unknown } | undefined
  let wake: (() => void) | undefined

  const startMore = async (): Promise<void> => {
    if (asking) return
    asking = true
    try {
      while (!stopped && !ended && !signal?.aborted && active < concurrency && queue.length < ahead) {
        const next = await source.next()
        if (next.done || stopped) ended = true
        else {
          active += 1
          const result = work(next.value).finally(() => {
            active -= 1
            void startMore()
          })
          // Its turn to be awaited, and to be heard if it failed, comes later.
          result.catch(() => undefined)
          queue.push(result)
        }
        wake?.()
      }
    } catch (cause) {
      ended = true
      failure = { cause }
      wake?.()
    } finally {
      asking = false
    }
  }

  const onAbort = () => wake?.()
  signal?.addEventListener('abort', onAbort)
  try {
    for (;;) {
      throwIfAborted(signal)
      void startMore()
      const [first] = queue
      if (first === undefined) {
        if (ended) break
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        wake = undefined
        continue
      }
      const result = await first
      throwIfAborted(signal)
      queue.shift()
      void startMore()
      yield result
    }
    if (failure) throw failure.cause
  } finally {
    stopped = true
    signal?.removeEventListener('abort', onAbort)
    await Promise.allSettled(queue)
    // Not awaited: who waits for words that never come would wait here too.
    void source.return?.()?.catch(() => undefined)
  }
}
