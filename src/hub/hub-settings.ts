// Where the hub and its cache are: the environment variables of huggingface_hub, so that both tools mean the same.
import { homedir } from 'node:os'
import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { pathFacts } from '../files/folder.ts'
import { readTextLimited } from '../files/read-file.ts'
import { inertName } from '../inert-text.ts'

export interface HubSettings {
  /** The cache: a folder per model. */
  readonly root: string
  /** Without a slash at the end. */
  readonly endpoint: string
  /** No request may be made. */
  readonly offline: boolean
  /** File with the token, looked at when `tokenText` is absent. */
  readonly tokenFile: string
  readonly tokenText: string | undefined
  /** Most milliseconds until the answer to a question, and between two pieces of a file. */
  readonly answerMs: number
  readonly silenceMs: number
  /** Snapshots are links into the blobs; else copies. */
  readonly links: boolean
  /** The variables that name proxies are read where they are needed. */
  readonly environment: Environment
}

export type Environment = Readonly<Record<string, string | undefined>>

const defaultEndpoint = 'https://huggingface.co'
const defaultSeconds = 10

/**
 * Reads HF_HUB_CACHE, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and their kin.
 * @throws RegraftError 'usage' for values that mean nothing
 */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const folder = (name: string) => expanded(environment[name], environment)
  const home = folder('HF_HOME') ?? path.join(folder('XDG_CACHE_HOME') ?? path.join(homedir(), '.cache'), 'huggingface')
  const tokenText = environment['HF_TOKEN'] ?? environment['HUGGING_FACE_HUB_TOKEN']
  return {
    root: path.resolve(folder('HF_HUB_CACHE') ?? folder('HUGGINGFACE_HUB_CACHE') ?? path.join(home, 'hub')),
    endpoint: endpointOf(environment['HF_ENDPOINT']),
    offline: isTrue(environment['HF_HUB_OFFLINE'] || environment['TRANSFORMERS_OFFLINE']),
    tokenFile: folder('HF_TOKEN_PATH') ?? path.join(home, 'token'),
    tokenText: tokenText?.trim() || undefined,
    answerMs: milliseconds('HF_HUB_ETAG_TIMEOUT', environment),
    silenceMs: milliseconds('HF_HUB_DOWNLOAD_TIMEOUT', environment),
    links: !isTrue(environment['HF_HUB_DISABLE_SYMLINKS']),
    environment,
  }
}

const mostTokenBytes = 4096

/** The user's token: HF_TOKEN, or what `hf auth login` has left. */
export async function hubToken({ tokenText, tokenFile }: HubSettings): Promise<string | undefined> {
  if (tokenText !== undefined) return tokenText
  if ((await pathFacts(tokenFile))?.kind !== 'file') return undefined
  const token = (await readTextLimited(tokenFile, mostTokenBytes)).trim()
  return token === '' ? undefined : token
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && ['1', 'ON', 'YES', 'TRUE'].includes(value.toUpperCase())
}

/** A path with `~` and `$NAME` replaced, as huggingface_hub does. */
function expanded(value: string | undefined, environment: Environment): string | undefined {
  if (value === undefined || value === '') return undefined
  const named = value.replace(/\$(?:(\w+)|\{(\w+)\})/g, (text, plain, braced) => environment[plain ?? braced] ?? text)
  return /^~(?=$|[\\/])/.test(named) ? path.join(homedir(), named.slice(1)) : named
}

function endpointOf(value: string | undefined): string {
  const endpoint = (value || defaultEndpoint).replace(/\/+$/, '')
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.search === '')
    return endpoint
  throw new RegraftError(
    'usage',
    `HF_ENDPOINT: '${inertName(endpoint, 200)}' is not the address of a hub, such as ${defaultEndpoint}.`,
  )
}

function milliseconds(name: string, environment: Environment): number {
  const value = environment[name] || String(defaultSeconds)
  const seconds = Number(value)
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 86_400) return seconds * 1000
  throw new RegraftError('usage', `${name}: '${inertName(value, 100)}' is not a number of seconds above 0.`)
}
