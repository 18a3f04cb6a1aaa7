// Requests to the hub: who gets the token, which redirects are followed, how long is waited.
import { RegraftError, throwIfAborted } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { HubSettings } from './hub-settings.ts'
import { proxyFetch, proxyFor } from './proxy.ts'
import { readAhead } from './read-ahead.ts'

/** An answer whose body is read in pieces, each of which must come in time. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Where it came from, after redirects. */
  readonly url: URL
  pieces(): AsyncGenerator<Uint8Array, void, undefined>
  /** Lets go of a body that nobody reads. */
  close(): Promise<void>
}

export interface AskOptions {
  readonly method: 'HEAD' | 'GET'
  readonly headers?: Readonly<Record<string, string>>
  readonly token: string | undefined
  readonly signal: AbortSignal | undefined
  /** HEAD stops where the file leaves for another host: what the hub itself says of it is wanted. */
  readonly stayOnHost?: boolean
}

/** The connection broke or nobody answered: worth another try, unlike a refusal. */
export class ConnectionTrouble extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause })
  }
}

const mostRedirects = 8

/**
 * Asks, and follows redirects by hand: the token goes to the hub's own host only, and nothing but http and https is followed, never from
 * https down to http.
 * @throws ConnectionTrouble; RegraftError 'weights' for redirects that are not followed; the reason of the signal
 */
export async function ask(address: string, settings: HubSettings, options: AskOptions): Promise<Answer> {
  const home = new URL(settings.endpoint)
  let url = new URL(address)
  for (let redirects = 0; ; redirects++) {
    const ownHost = url.origin === home.origin
    const answer = await once(url, settings, {
      ...options,
      headers: {
        ...options.headers,
        // A compressed answer would have another length and no ranges.
        'accept-encoding': 'identity',
        'user-agent': 'regraft',
        ...(ownHost && options.token !== undefined ? { authorization: `Bearer ${options.token}` } : {}),
      },
    })
    const location = answer.headers.get('location')
    if (answer.status < 300 || answer.status > 399 || answer.status === 304 || location === null) return answer
    await answer.close()
    const next = URL.canParse(location, url.href) ? new URL(location, url.href) : undefined
    const shown = inertName(location, 200)
    if (next === undefined || (next.protocol !== 'https:' && next.protocol !== 'http:'))
      throw new RegraftError('weights', `${url.href} leads to '${shown}', which is no address on the web.`)
    if (url.protocol === 'https:' && next.protocol === 'http:')
      throw new RegraftError('weights', `${url.href} leads to ${shown}, which is not encrypted; it is not followed.`)
    if (options.stayOnHost && next.origin !== url.origin) return answer
    if (redirects === mostRedirects)
      throw new RegraftError('weights', `${address} leads from one redirect to the next, more than ${mostRedirects}.`)
    url = next
  }
}

async function once(url: URL, settings: HubSettings, { method, headers = {}, signal }: AskOptions): Promise<Answer> {
  throwIfAborted(signal)
  const patience = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const wait = (ms: number, what: string) => {
    clearTimeout(timer)
    timer = setTimeout(() => patience.abort(new Error(`${what} for ${ms / 1000} seconds`)), ms)
  }
  const stopWaiting = () => clearTimeout(timer)
  const abort = () => patience.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  const done = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
  const trouble = (cause: unknown): unknown => {
    done()
    throwIfAborted(signal)
    return new ConnectionTrouble(reasonOf(patience.signal.aborted ? patience.signal.reason : cause), cause)
  }
  let response: Response
  try {
    wait(settings.answerMs, 'no answer')
    const proxy = proxyFor(url, settings.environment)
    const request = { method, headers, redirect: 'manual' as const, signal: patience.signal }
    response = await (proxy === undefined ? fetch(url, request) : proxyFetch(url, proxy, request))
    stopWaiting()
  } catch (error) {
    throw trouble(error)
  }
  // At once: what comes before somebody reads is lost if the connection breaks meanwhile.
  const body = response.body && readAhead(response.body, () => wait(settings.silenceMs, 'nothing came'), stopWaiting)
  return {
    status: response.status,
    headers: response.headers,
    url,
    async *pieces() {
      try {
        if (body) yield* body.pieces()
      } catch (error) {
        throw trouble(error)
      } finally {
        done()
      }
    },
    async close() {
      done()
      await body?.cancel()
    },
  }
}

/** `fetch` says "fetch failed" and hides what happened in the cause. */
function reasonOf(error: unknown): string {
  let at: unknown = error
  let message = 'the connection failed'
  for (let depth = 0; at instanceof Error && depth < 5; depth++) {
    if (at.message !== '' && at.message !== 'fetch failed') message = at.message
    at = at.cause
  }
  return inertName(message, 300)
}
