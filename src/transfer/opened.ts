/** Things that were opened one after the other, to be closed together: also when the next one cannot be opened. */
export interface Opened {
  add<T extends { close(): void }>(thing: T): T
  /** Closes them, the last one first. */
  close(): void
}

export function opened(): Opened {
  const things: { close(): void }[] = []
  return {
    add(thing) {
      things.push(thing)
      return thing
    },
    close() {
      for (let thing = things.pop(); thing !== undefined; thing = things.pop()) thing.close()
    },
  }
}
