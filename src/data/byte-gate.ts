/** Lets work begin while what it needs fits beside the rest; who needs more than there is works alone. */
export interface ByteGate {
  pass<T>(bytes: number, work: () => Promise<T>): Promise<T>
}

/** @param limitBytes  taken by all work at the same time */
export function byteGate(limitBytes: number): ByteGate {
  let used = 0
  const waiting: { readonly bytes: number; readonly begin: () => void }[] = []
  const fits = (bytes: number) => used === 0 || used + bytes <= limitBytes
  return {
    async pass(bytes, work) {
      // In order of arrival, so that a large one is not overtaken for ever.
      if (waiting.length > 0 || !fits(bytes)) {
        await new Promise<void>((begin) => waiting.push({ bytes, begin }))
      } else used += bytes
      try {
        return await work()
      } finally {
        used -= bytes
        for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
          used += next.bytes
          waiting.shift()
          next.begin()
        }
      }
    },
  }
}
