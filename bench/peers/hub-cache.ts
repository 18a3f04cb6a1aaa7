// Whether huggingface_hub and we read each other's cache: Python finds without a network what we fetched, we find what Python fetched,
// and we go on with a blob that is half there. The hub is a server on this machine.
//   npx tsx bench/peers/hub-cache.ts [PYTHON]
// PYTHON has huggingface_hub; it is python3 when left out. The exit code is 1 where the two disagree.
import { deepStrictEqual } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type HubId, parseHubId } from '../../src/hub/hub-id.ts'
import { hubModel } from '../../src/hub/hub-model.ts'
import { etagOf, type FakeFile, sha256Of, startFakeHub } from '../../test/hub/fake-hub.ts'

const python = process.argv[2] ?? 'python3'
const repository = 'timm/tiny.test'
const configuration: FakeFile = { bytes: Buffer.from('{"architecture":"mobilenetv1_025"}\n') }
const weights: FakeFile = {
  bytes: Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)),
  large: true,
}
const files: ReadonlyMap<string, FakeFile> = new Map([
  ['config.json', configuration],
  ['model.safetensors', weights],
])
const names = [...files.keys()]
const digests = Object.fromEntries([...files].map(([name, { bytes }]) => [name, sha256Of(bytes)]))
const etags = [...files.values()].map(etagOf).sort()
const allBytes = configuration.bytes.length + weights.bytes.length

const folder = mkdtempSync(join(tmpdir(), 'regraft-hub-cache-'))
const hub = await startFakeHub()
hub.repositories.set(repository, new Map(files))
for (const name of Object.keys(process.env)) if (/^(HF_|HUGGING|.*_proxy$)/i.test(name)) delete process.env[name]
process.env['HF_HOME'] = join(folder, 'home')
try {
  for (const links of [true, false]) {
    if (!links) process.env['HF_HUB_DISABLE_SYMLINKS'] = '1'
    const kind = links ? 'links' : 'copies'
    await pythonFindsOurs(kind)
    await weFindPythons(kind)
    await weGoOn(kind)
    await bothAtOnce(kind)
  }
} finally {
  await hub.close()
  rmSync(folder, { recursive: true, force: true })
}

async function pythonFindsOurs(kind: string): Promise<void> {
  useCache(`ours-${kind}`)
  await hubModel(idOf(repository))
  hub.asked.length = 0
  const { version, ...read } = await ask('read', { HF_HUB_OFFLINE: '1' })
  deepStrictEqual(hub.asked, [])
  deepStrictEqual(read, {
    files: Object.fromEntries(
      Object.entries(digests).map(([name, digest]) => [name, { found: digest, downloaded: digest, snapshot: digest }]),
    ),
    revisions: [{ commit: hub.commit, refs: ['main'], files: names }],
    bytes: allBytes,
    warnings: [],
    unfinished: 0,
  })
  console.log(`${kind}: huggingface_hub ${version} finds what we fetched, and asks nobody`)
}

async function weFindPythons(kind: string): Promise<void> {
  useCache(`theirs-${kind}`)
  deepStrictEqual((await ask('fetch')).files, digests)
  await findWithoutAsking()
  console.log(`${kind}: we find what huggingface_hub fetched, and ask nobody`)
}

async function weGoOn(kind: string): Promise<void> {
  const blobs = join(useCache(`cut-${kind}`), 'models--timm--tiny.test', 'blobs')
  mkdirSync(blobs, { recursive: true })
  writeFileSync(join(blobs, `${etagOf(weights)}.incomplete`), weights.bytes.subarray(0, 100_000))
  hub.asked.length = 0
  await hubModel(idOf(repository))
  const ranges = hub.asked.filter(({ host }) => host === 'store').map(({ range }) => range)
  deepStrictEqual(ranges, ['bytes=100000-'])
  deepStrictEqual(readdirSync(blobs).sort(), etags)
  deepStrictEqual((await ask('read', { HF_HUB_OFFLINE: '1' })).bytes, allBytes)
  console.log(`${kind}: we go on with a blob that is half there`)
}

async function bothAtOnce(kind: string): Promise<void> {
  useCache(`both-${kind}`)
  await Promise.all([ask('fetch'), hubModel(idOf(repository))])
  deepStrictEqual((await ask('read', { HF_HUB_OFFLINE: '1' })).warnings, [])
  await findWithoutAsking()
  console.log(`${kind}: both at once leave a cache that either reads`)
}

/** Expects the whole model in the cache. */
async function findWithoutAsking(): Promise<void> {
  hub.asked.length = 0
  const { commit, fetchedBytes, pins } = await hubModel(idOf(repository), { offline: true })
  deepStrictEqual(hub.asked, [])
  deepStrictEqual({ commit, fetchedBytes }, { commit: hub.commit, fetchedBytes: 0 })
  deepStrictEqual(Object.fromEntries([...pins].map(([name, { sha256 }]) => [name, sha256])), digests)
}

function useCache(name: string): string {
  const root = join(folder, name)
  process.env['HF_HUB_CACHE'] = root
  process.env['HF_ENDPOINT'] = hub.endpoint
  return root
}

function idOf(name: string): HubId {
  const id = parseHubId(name)
  if (id === undefined) throw new Error(`${name} is no name of a model`)
  return id
}

/** What hub_cache.py answers. */
async function ask(work: 'read' | 'fetch', environment: Readonly<Record<string, string>> = {}) {
  const script = join(import.meta.dirname, 'hub_cache.py')
  const env = { ...process.env, HF_HUB_DISABLE_PROGRESS_BARS: '1', ...environment }
  const { stdout } = await promisify(execFile)(python, [script, work, repository, ...names], { env })
  return JSON.parse(stdout)
}
