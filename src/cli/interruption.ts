import { RegraftError } from '../errors.ts'
import type { Host, StopSignal } from './host.ts'

/** How the work is stopped from outside. */
export interface Interruption {
  readonly signal: AbortSignal
  /** Stops the work for a reason of our own. */
  abort(reason: unknown): void
  /** No longer listens to signals. */
  close(): void
}

const codes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/**
 * The first signal asks the work to save and stop; the second ends the process at once.
 * @param leave  gives the terminal back before that
 */
export function listenToSignals(host: Host, say: (text: string) => void, leave: () => void): Interruption {
  const controller = new AbortController()
  let asked = false
  const unlisten = host.onSignal((signal) => {
    if (asked) {
      leave()
      return host.exit(codes[signal])
    }
    asked = true
    say(`${signal}: stopping and saving what there is. A second signal ends at once.`)
    controller.abort(new RegraftError('interrupted', `Stopped by ${signal}.`, { signal }))
  })
  return { signal: controller.signal, abort: (reason) => controller.abort(reason), close: unlisten }
}
