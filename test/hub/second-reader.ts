// The layout of huggingface_hub's cache, read by its documentation and by nothing of the product.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

export interface ReadSnapshot {
  readonly commit: string
  readonly files: ReadonlyMap<string, Buffer>
}

/** What Python's hf_hub_download finds without a network: refs/<revision>, then snapshots/<commit>/<file>. Fails on what it would. */
export function readCache(root: string, repository: string, revision = 'main'): ReadSnapshot {
  const model = join(root, `models--${repository.replace('/', '--')}`)
  const commit = /^[0-9a-f]{40}$/.test(revision) ? revision : readFileSync(join(model, 'refs', revision), 'utf8')
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new Error(`refs/${revision} holds '${commit}'`)
  const snapshot = join(model, 'snapshots', commit)
  const files = new Map<string, Buffer>()
  for (const name of readdirSync(snapshot, { recursive: true, encoding: 'utf8' })) {
    const at = join(snapshot, name)
    const facts = lstatSync(at)
    if (facts.isDirectory()) continue
    if (facts.isSymbolicLink()) {
      const target = readlinkSync(at)
      if (target.startsWith('/')) throw new Error(`${name} is an absolute link`)
      const blob = resolve(dirname(at), target)
      if (!/^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(relative(join(model, 'blobs'), blob)))
        throw new Error(`${name} leads to ${blob}`)
    }
    files.set(name, readFileSync(at))
  }
  return { commit, files }
}

/** Files that are still coming. */
export function unfinished(root: string, repository: string): readonly string[] {
  const blobs = join(root, `models--${repository.replace('/', '--')}`, 'blobs')
  return readdirSync(blobs).filter((name) => name.endsWith('.incomplete'))
}
