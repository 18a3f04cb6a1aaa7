const mostBytesAhead = 4 << 20

/** A body that is being read. */
export interface ReadBody {
  pieces(): AsyncGenerator<Uint8Array, void, undefined>
  cancel(): Promise<void>
}

/**
 * Reads a body while earlier pieces are still being worked on: when a connection breaks, a stream forgets what nobody has taken yet, and
 * a resumed download could not go on from there.
 * @param waiting  called before each wait for the network, `came` after it
 */
export function readAhead(body: ReadableStream<Uint8Array>, waiting: () => void, came: () => void): ReadBody {
  const reader = body.getReader()
  const ready: Uint8Array[] = []
  let bytes = 0
  let end: { readonly error?: unknown } | undefined
  let wakeReader: () => void = () => undefined
  let wakeTaker: () => void = () => undefined
  const read = async (): Promise<void> => {
    try {
      while (end === undefined) {
        waiting()
        const { done, value } = await reader.read()
        came()
        if (done) break
        ready.push(value)
        bytes += value.length
        wakeTaker()
        while (bytes >= mostBytesAhead && end === undefined) await new Promise<void>((wake) => (wakeReader = wake))
      }
      end ??= {}
    } catch (error) {
      end ??= { error }
    }
    wakeTaker()
  }
  void read()
  const cancel = async (): Promise<void> => {
    end ??= {}
    wakeReader()
    await reader.cancel().catch(() => undefined)
  }
  return {
    cancel,
    async *pieces() {
      try {
        for (;;) {
          const piece = ready.shift()
          if (piece !== undefined) {
            bytes -= piece.length
            wakeReader()
            yield piece
          } else if (end === undefined) await new Promise<void>((wake) => (wakeTaker = wake))
          else if ('error' in end) throw end.error
          else return
        }
      } finally {
        await cancel()
      }
    },
  }
}
