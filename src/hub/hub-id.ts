// Names of models on the hub: `owner/name`, with `@revision` where not the newest is wanted.
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'

export interface HubId {
  readonly owner: string
  readonly name: string
  /** A branch, a tag, or a commit. */
  readonly revision: string
}

/** What is meant when no revision is named. */
export const DEFAULT_REVISION = 'main'

const part = /^[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?$/
const revisionForm = /^[\w][\w.+-]*(?:\/[\w][\w.+-]*)*$/

/**
 * Reads `owner/name[@revision]`.
 * @returns undefined when the text has not this form: a path, a plain name
 * @throws RegraftError 'usage' for a revision that none can be
 */
export function parseHubId(text: string): HubId | undefined {
  const [, owner, name, revision] = /^([^/@]+)\/([^/@]+)(?:@(.*))?$/su.exec(text) ?? []
  if (owner === undefined || name === undefined || !isPart(owner) || !isPart(name)) return undefined
  if (revision === undefined) return { owner, name, revision: DEFAULT_REVISION }
  // It becomes a path in the cache.
  if (revision.length > 200 || !revisionForm.test(revision) || /\.\.|\.lock$/.test(revision)) {
    throw new RegraftError(
      'usage',
      `${inertName(text, 300)}: '${inertName(revision, 200)}' is not a revision; a branch, a tag or a commit is allowed.`,
    )
  }
  return { owner, name, revision }
}

/** The rules of huggingface_hub, whose folders are made of these names. */
function isPart(text: string): boolean {
  return part.test(text) && !text.includes('--') && !text.includes('..') && !text.endsWith('.git')
}

/** `owner/name` */
export function repositoryOf({ owner, name }: HubId): string {
  return `${owner}/${name}`
}

/** `owner/name`, or with `@revision` when it is not the usual one. */
export function hubIdText(id: HubId): string {
  return id.revision === DEFAULT_REVISION ? repositoryOf(id) : `${repositoryOf(id)}@${id.revision}`
}

/** Whether a revision is a commit, which never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}
