// Proxies by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, for the versions of Node whose `fetch` does not know them.
import * as http from 'node:http'
import * as https from 'node:https'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import * as tls from 'node:tls'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import type { Environment } from './hub-settings.ts'

/**
 * The proxy for an address.
 * @returns undefined when there is none, or Node itself uses it (NODE_USE_ENV_PROXY=1, from Node 22.21 and 24 on)
 * @throws RegraftError 'usage' for what is no address of a proxy
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
  if (environment['NODE_USE_ENV_PROXY'] === '1') return undefined
  const value = (name: string) => environment[name.toLowerCase()] || environment[name.toUpperCase()]
  const proxy = value(url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') || value('all_proxy')
  if (proxy === undefined || excepted(url, value('no_proxy') ?? '')) return undefined
  const address = proxy.includes('://') ? proxy : `http://${proxy}`
  const parsed = URL.canParse(address) ? new URL(address) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed
  throw new RegraftError(
    'usage',
    `The proxy '${inertName(withoutPassword(proxy), 200)}' is none that is known; http:// and https:// are.`,
  )
}

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, '//')
}

/** `.example.com`, `example.com` and `example.com:8080` except a host and those below it; `*` excepts all. */
function excepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true
      const [, name = '', wanted] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry) ?? []
      if (name === '' || (wanted !== undefined && wanted !== port)) return false
      return host === name || host.endsWith(`.${name}`)
    })
}

interface ProxyRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** As `fetch` with `redirect: 'manual'`, by way of a proxy: through a tunnel for https, by the whole address for http. */
export async function proxyFetch(url: URL, proxy: URL, { method, headers, signal }: ProxyRequest): Promise<Response> {
  const common = { method, signal, headers: { ...headers, host: url.host } }
  const request =
    url.protocol === 'https:'
      ? https.request(url, { ...common, createConnection: await tunnel(url, proxy, signal) })
      : clientOf(proxy).request(proxy, {
          ...common,
          agent: false,
          path: url.href,
          headers: { ...common.headers, ...authorisation(proxy) },
        })
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject).end()
  })
  const status = answer.statusCode ?? 502
  const pairs = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  )
  // A status without a body allows none, not even an empty one.
  const empty = method === 'HEAD' || status === 204 || status === 304
  if (empty) answer.resume()
  // The same stream, whose type comes from two libraries.
  const body = empty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
  return new Response(body, { status, headers: pairs })
}

/** A connection to the host that the proxy passes on as it is, to be wrapped in TLS. */
async function tunnel(url: URL, proxy: URL, signal: AbortSignal): Promise<() => Socket> {
  const host = `${url.hostname}:${url.port || 443}`
  const raw = await new Promise<Socket>((resolve, reject) => {
    const headers = { host, ...authorisation(proxy) }
    const request = clientOf(proxy).request(proxy, { method: 'CONNECT', path: host, signal, agent: false, headers })
    request.on('connect', (answer, socket: Socket) => {
      if (answer.statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(new Error(`the proxy ${proxy.host} refuses a tunnel to ${host} with status ${answer.statusCode}`))
    })
    request.on('error', reject).end()
  })
  signal.addEventListener('abort', () => raw.destroy(), { once: true })
  return () => tls.connect({ socket: raw, servername: url.hostname, ALPNProtocols: ['http/1.1'] })
}

function clientOf(proxy: URL): typeof http | typeof https {
  return proxy.protocol === 'https:' ? https : http
}

function authorisation({ username, password }: URL): Record<string, string> {
  if (username === '') return {}
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` }
}
