// `events.jsonl` of a run: all that happened, `at` so many seconds since the start, for programs that read along.
import * as path from 'node:path'
import { appendLines } from '../files/append-lines.ts'
import type { Listener } from '../train/events.ts'

export interface EventLog {
  /** Passes events on, and remembers them. */
  readonly listener: Listener
  /** From now on there is a folder to write to, and events are written as they come. */
  open(run: string): void
  /** Waits until all that happened so far is written. @throws what the disk said, if it refused */
  flush(): Promise<void>
}

/** Lines that wait before they are written without being asked for. */
const MANY_LINES = 500

export function eventLog(next: Listener | undefined): EventLog {
  const startedAt = performance.now()
  let waiting: string[] = []
  let run: string | undefined
  let writing: Promise<void> = Promise.resolve()
  const write = (): Promise<void> => {
    if (run === undefined) return writing
    const file = path.join(run, 'events.jsonl')
    // One after the other. Who flushes hears of a failure.
    writing = writing.then(async () => {
      const lines = waiting
      waiting = []
      await appendLines(file, lines)
    })
    return writing
  }
  return {
    listener(event) {
      const at = Math.round(performance.now() - startedAt) / 1000
      waiting.push(JSON.stringify({ at, ...event }))
      if (waiting.length >= MANY_LINES) write().catch(() => undefined)
      next?.(event)
    },
    open(folder) {
      run = folder
    },
    flush: () => write(),
  }
}
