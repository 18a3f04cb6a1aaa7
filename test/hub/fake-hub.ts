// A hub on this machine that keeps its contract, or breaks it as a test wishes.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeFile {
  readonly bytes: Buffer
  /** Large: lies on another host, and is named by its SHA-256. */
  readonly large?: boolean
}

export interface Asked {
  readonly method: string
  readonly url: string
  readonly range: string | undefined
  readonly token: string | undefined
  /** Which of the two servers. */
  readonly host: 'hub' | 'store'
}

export type Answering = (request: IncomingMessage, response: ServerResponse, usual: () => void) => void

export interface FakeHub {
  readonly endpoint: string
  readonly storeAddress: string
  readonly asked: Asked[]
  /** By `owner/name`, then by path. */
  readonly repositories: Map<string, Map<string, FakeFile>>
  commit: string
  licence: string | undefined
  /** Answers in the place of the hub, or of the store of large files. */
  hub: Answering | undefined
  store: Answering | undefined
  close(): Promise<void>
}

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const gitDigestOf = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
export const etagOf = ({ bytes, large }: FakeFile): string => (large ? sha256Of(bytes) : gitDigestOf(bytes))

export async function startFakeHub(): Promise<FakeHub> {
  const asked: Asked[] = []
  const record = (request: IncomingMessage, host: Asked['host']) => {
    const { method = '', url = '', headers } = request
    asked.push({ method, url, range: headers.range, token: headers.authorization, host })
  }
  const hub = createServer((request, response) => {
    record(request, 'hub')
    const usual = () => answer(fake, request, response)
    if (fake.hub) fake.hub(request, response, usual)
    else usual()
  })
  const store = createServer((request, response) => {
    record(request, 'store')
    const usual = () => sendLarge(fake, request, response)
    if (fake.store) fake.store(request, response, usual)
    else usual()
  })
  const fake: FakeHub = {
    endpoint: await listening(hub),
    // Another name of this machine, so another host.
    storeAddress: (await listening(store)).replace('127.0.0.1', 'localhost'),
    asked,
    repositories: new Map(),
    commit: 'a1'.repeat(20),
    licence: undefined,
    hub: undefined,
    store: undefined,
    async close() {
      for (const server of [hub, store]) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
  return fake
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function answer(fake: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const url = decodeURIComponent(request.url ?? '')
  const refuse = (status: number, code: string, headers = {}) => {
    response.writeHead(status, { 'x-error-code': code, ...headers }).end()
  }
  const api = /^\/api\/models\/([^/]+\/[^/]+)\//.exec(url)
  if (api) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ cardData: fake.licence === undefined ? {} : { license: fake.licence } }))
    return
  }
  const [, repository = '', revision = '', path = ''] = /^\/([^/]+\/[^/]+)\/resolve\/(.+?)\/([^/]+)$/.exec(url) ?? []
  const files = fake.repositories.get(repository)
  const file = files?.get(path)
  const commit = { 'x-repo-commit': fake.commit }
  const known = ['main', 'v1/beta', fake.commit].includes(revision)
  if (file === undefined) {
    if (files === undefined) refuse(401, 'RepoNotFound')
    else if (known) refuse(404, 'EntryNotFound', commit)
    else refuse(404, 'RevisionNotFound')
    return
  }
  const { bytes, large } = file
  if (large) {
    response.writeHead(302, {
      ...commit,
      location: `${fake.storeAddress}/${repository}/${path}?signature=1`,
      'x-linked-etag': `"${etagOf(file)}"`,
      'x-linked-size': bytes.length,
      etag: '"of-the-redirect"',
    })
    response.end()
    return
  }
  response.writeHead(200, {
    ...commit,
    etag: `"${etagOf(file)}"`,
    'content-length': bytes.length,
    'content-type': 'text/plain',
  })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

export function largeFile(fake: FakeHub, request: IncomingMessage): Buffer {
  const [, repository = '', path = ''] = /^\/([^/]+\/[^/]+)\/([^/?]+)/.exec(request.url ?? '') ?? []
  return fake.repositories.get(repository)?.get(path)?.bytes ?? Buffer.alloc(0)
}

/** From which byte on is asked for. */
export function startOf(request: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
}

function sendLarge(fake: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const bytes = largeFile(fake, request)
  const start = startOf(request)
  const part = bytes.subarray(start)
  const range =
    request.headers.range === undefined ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
  response.writeHead(request.headers.range === undefined ? 200 : 206, { ...range, 'content-length': part.length })
  response.end(part)
}
