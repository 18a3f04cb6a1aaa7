import { RegraftError } from '../errors.ts'

/** A time after which work stops, as if somebody had asked it to. */
export interface TimeBudget {
  /**
   * What stops work: the given signal, and from the first call of `progressed` on the end of the time. A chain of runs that are
   * each too short for what precedes the first step still comes to its end.
   */
  signal(): AbortSignal | undefined
  /** Something was done that is kept. */
  progressed(): void
  close(): void
}

/**
 * @param seconds  left from now; without them only `signal` counts
 * @param message  of the error of class 'time'
 */
export function timeBudget(seconds: number | undefined, message: string, signal: AbortSignal | undefined): TimeBudget {
  if (seconds === undefined) return { signal: () => signal, progressed: () => undefined, close: () => undefined }
  const end = new AbortController()
  const timer = setTimeout(
    () => end.abort(new RegraftError('time', message)),
    Math.min(Math.max(0, seconds * 1000), LONGEST_TIMER_MS),
  )
  timer.unref()
  let current = signal
  return {
    signal: () => current,
    progressed() {
      if (current === signal) current = signal ? AbortSignal.any([signal, end.signal]) : end.signal
    },
    close: () => clearTimeout(timer),
  }
}

/** Node's timers count in 32 bits: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
