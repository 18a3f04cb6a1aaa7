// What the hub says of a file before it is fetched.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'
import { type Answer, ask, ConnectionTrouble } from './http.ts'
import { type HubId, hubIdText, isCommit, repositoryOf } from './hub-id.ts'
import type { HubSettings } from './hub-settings.ts'

export interface RemoteFile {
  /** Path in the repository, with `/`. */
  readonly path: string
  /** The commit that the revision stands for now. */
  readonly commit: string
  /** Name of the blob: SHA-256 of a large file, git's digest of a small one. */
  readonly etag: string
  readonly bytes: number
  readonly address: string
}

/** Where requests go, and with what. */
export interface Connection {
  readonly settings: HubSettings
  readonly token: string | undefined
  readonly signal: AbortSignal | undefined
}

const mostTries = 4
const firstPauseMs = 500

/**
 * Asks for a file of a repository, several times where the connection is bad.
 * @returns undefined when the repository has no such file
 * @throws RegraftError 'weights'
 */
export async function lookAt(id: HubId, file: string, connection: Connection): Promise<RemoteFile | undefined> {
  const address = addressOf(connection.settings.endpoint, id, file)
  const answer = await patiently(connection.signal, connection.settings, async () => {
    const got = await ask(address, connection.settings, { ...connection, method: 'HEAD', stayOnHost: true })
    await got.close()
    if (isPassing(got.status)) throw new ConnectionTrouble(`the hub answers with status ${got.status}`, undefined)
    return got
  })
  const code = answer.headers.get('x-error-code')
  if (answer.status === 404 && (code === 'EntryNotFound' || isCommit(answer.headers.get('x-repo-commit') ?? '')))
    return undefined
  if (answer.status >= 400) throw refused(id, answer, code, connection)
  const fail = (problem: string) =>
    new RegraftError(
      'weights',
      `${address}: the answer ${problem}.\nIt is not the hub's: look at HF_ENDPOINT, at proxies and at login pages of the network.`,
    )
  if (/^text\/html\b/i.test(answer.headers.get('content-type') ?? '')) throw fail('is an HTML page')
  const commit = answer.headers.get('x-repo-commit')?.trim() ?? ''
  if (!isCommit(commit)) throw fail('names no commit (X-Repo-Commit)')
  if (isCommit(id.revision) && id.revision !== commit) throw fail(`is of commit ${commit}, not of the one asked for`)
  const etag = (answer.headers.get('x-linked-etag') ?? answer.headers.get('etag') ?? '')
    .trim()
    .replace(/^W\//, '')
    .replace(/^"|"$/g, '')
  // It becomes the name of a file.
  if (!/^\w[\w-]{5,127}$/.test(etag)) throw fail('names no digest of the file (ETag)')
  const redirected = answer.status >= 300
  const size = answer.headers.get('x-linked-size') ?? (redirected ? null : answer.headers.get('content-length'))
  const bytes = size !== null && /^\d{1,15}$/.test(size.trim()) ? Number(size) : undefined
  if (bytes === undefined) throw fail('does not say how large the file is')
  return {
    path: file,
    commit,
    etag,
    bytes,
    address: addressOf(connection.settings.endpoint, { ...id, revision: commit }, file),
  }
}

export function addressOf(endpoint: string, id: HubId, file: string): string {
  const path = file.split('/').map(encodeURIComponent).join('/')
  return `${endpoint}/${repositoryOf(id)}/resolve/${encodeURIComponent(id.revision)}/${path}`
}

/** Busy or broken for now. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500
}

/**
 * Tries again after connection trouble, with longer and longer pauses.
 * @throws RegraftError 'weights' when it does not help
 */
export async function patiently<T>(
  signal: AbortSignal | undefined,
  settings: HubSettings,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof ConnectionTrouble)) throw error
      if (tries === mostTries) throw unreachable(settings, error)
      await pause(firstPauseMs * 2 ** (tries - 1), signal)
    }
  }
}

/** Waits; ends early, without an error, when the signal fires. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}

export function unreachable({ endpoint }: HubSettings, { message, cause }: ConnectionTrouble): RegraftError {
  return new RegraftError(
    'weights',
    `The hub at ${endpoint} could not be reached: ${message}.\nCheck the network (proxies: HTTPS_PROXY), or download the model elsewhere and give its folder.`,
    { cause },
  )
}

function refused(id: HubId, { status }: Answer, code: string | null, { settings, token }: Connection): RegraftError {
  const shown = hubIdText(id)
  const fail = (message: string) => new RegraftError('weights', message)
  if (code === 'GatedRepo' || status === 403) {
    return fail(
      `${shown}: the hub does not let you have this model (status ${status}).\nIts owner wants terms to be accepted on ${settings.endpoint}/${repositoryOf(id)}; then set HF_TOKEN.`,
    )
  }
  if (code === 'RevisionNotFound')
    return fail(`${shown}: there is no revision '${id.revision}' of this model on the hub.`)
  if (status === 401 || status === 404) {
    const advice = token === undefined ? 'If it is private, set HF_TOKEN.' : 'If it is private, check HF_TOKEN.'
    return fail(
      `${shown}: no such path, and no such model on the hub (status ${status}).\nCheck the spelling. ${advice}`,
    )
  }
  const said = code === null ? '' : `, ${inertName(code, 100)}`
  return fail(`${shown}: the hub refuses with status ${status}${said}.`)
}
