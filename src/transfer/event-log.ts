// `events.jsonl` of a run: what happened, for programs that read along. Progress within a phase is left to --events.
import * as path from 'node:path'
import { appendLines } from '../files/append-lines.ts'
import type { Listener, WorkEvent } from '../train/events.ts'

export interface EventLog {
  /** Passes events on, and remembers those that are worth keeping. */
  readonly listener: Listener
  /** Appends what was remembered to the run's file. */
  flush(run: string): Promise<void>
}

export function eventLog(next: Listener | undefined): EventLog {
  let waiting: WorkEvent[] = []
  return {
    listener(event) {
      if (event.type !== 'progress') waiting.push(event)
      next?.(event)
    },
    async flush(run) {
      const lines = waiting.map((event) => JSON.stringify(event))
      waiting = []
      if (lines.length > 0) await appendLines(path.join(run, 'events.jsonl'), lines)
    },
  }
}
