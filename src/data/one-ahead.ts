/**
 * The same things in the same order, the next one being made while one is used. An error comes when its turn does. Who ends early does not
 * wait for a thing that may never come.
 */
export async function* oneAhead<T>(things: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const source = things[Symbol.asyncIterator]()
  let pending = true
  const ask = () => {
    pending = true
    const next = source.next()
    const settled = () => {
      pending = false
    }
    // A failure is heard when it is awaited.
    next.then(settled, settled)
    return next
  }
  let next = ask()
  try {
    for (;;) {
      const { done, value } = await next
      if (done) return
      next = ask()
      yield value
    }
  } finally {
    const ended = source.return?.()
    if (pending) void ended?.catch(() => undefined)
    else await ended
  }
}
