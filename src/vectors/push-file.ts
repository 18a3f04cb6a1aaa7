import { writeFileAtomic } from '../files/atomic-write.ts'

/** A file that is filled piece by piece and stands under its name only when finished. */
export interface PushedFile {
  /** Fulfilled when the piece is written. */
  push(piece: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Removes what was written. Fine after a failure and after `finish`. */
  abandon(): Promise<void>
}

/**
 * Turns the atomic write, which pulls its pieces, round, for writers whose rows arrive when they arrive.
 * @param expectedBytes  for the message when the disk is full
 */
export function pushFile(file: string, expectedBytes?: number): PushedFile {
  let taken: (() => void) | undefined
  let give: ((piece: Uint8Array | 'end' | Abandoned) => void) | undefined
  const waiting: { readonly piece: Uint8Array | 'end' | Abandoned; readonly taken: () => void }[] = []

  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      // Asking for the next piece means that the last one is written.
      taken?.()
      taken = undefined
      const next = waiting.shift()
      taken = next?.taken
      const piece = next?.piece ?? (await new Promise<Uint8Array | 'end' | Abandoned>((resolve) => (give = resolve)))
      if (piece instanceof Abandoned) throw piece
      if (piece === 'end') return
      yield piece
    }
  }

  const written = writeFileAtomic(file, pieces(), { expectedBytes })
  let settled = false
  const settle = () => {
    settled = true
  }
  written.then(settle, settle)

  function offer(piece: Uint8Array | 'end' | Abandoned): Promise<void> {
    return new Promise((resolve) => {
      if (give) {
        taken = resolve
        const handOver = give
        give = undefined
        handOver(piece)
      } else waiting.push({ piece, taken: resolve })
    })
  }

  return {
    // The write itself comes first in the race, so that its failure is what the caller hears.
    push: (piece) => Promise.race([written, offer(piece)]),
    async finish() {
      if (!settled) void offer('end')
      await written
    },
    async abandon() {
      if (!settled) void offer(new Abandoned())
      await written.catch(() => undefined)
    },
  }
}

class Abandoned extends Error {}
