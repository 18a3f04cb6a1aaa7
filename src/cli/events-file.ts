import { appendLines } from '../files/append-lines.ts'
import type { Listener } from '../train/events.ts'
import { jsonText } from './format.ts'

/** A log of all events as JSON lines. */
export interface EventsFile {
  readonly listener: Listener
  /** Waits for the last line. @throws when a line could not be written */
  close(): Promise<void>
}

/**
 * Writes events while the work goes on; what comes during a write goes into the next one.
 * @param onFailure  called once when the disk refuses, so that the work need not go on in vain
 */
export function eventsFile(file: string, onFailure: (error: unknown) => void): EventsFile {
  let waiting: string[] = []
  let writing: Promise<void> | undefined
  let failure: { readonly error: unknown } | undefined

  async function write(): Promise<void> {
    while (waiting.length > 0 && failure === undefined) {
      const lines = waiting
      waiting = []
      try {
        await appendLines(file, lines)
      } catch (error) {
        failure = { error }
        onFailure(error)
      }
    }
    writing = undefined
  }

  return {
    listener(event) {
      if (failure) return
      waiting.push(jsonText(event))
      writing ??= write()
    },
    async close() {
      await writing
      if (failure) throw failure.error
    },
  }
}
