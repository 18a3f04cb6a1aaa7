// Models of the hub by their names, through the real command line.
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { cards } from '../../src/model/cards.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { type FakeFile, type FakeHub, sha256Of, startFakeHub } from '../hub/fake-hub.ts'
import { readCache } from '../hub/second-reader.ts'
import { regraft } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const own = join(folder, 'own')
const repository = 'someone/tiny'
const cardName = 'mobilenetv2_100.ra_in1k'
let fake: FakeHub
let root: string

beforeAll(async () => {
  await drawFolder(pictures, 2)
  await savedModel(own, 'mobilenetv1_025', { labels: ['bars', 'disc', 'stairs'] })
  fake = await startFakeHub()
})
afterAll(() => fake.close())

beforeEach(() => {
  root = mkdtempSync(join(folder, 'cache-'))
  fake.asked.length = 0
  fake.licence = 'cc-by-4.0'
  fake.repositories.clear()
  fake.repositories.set(repository, filesOf('regraft.json', 'config.json', 'model.safetensors'))
  for (const name of Object.keys(process.env)) if (/^(HF_|HUGGING|.*_proxy$)/i.test(name)) vi.stubEnv(name, undefined)
  vi.stubEnv('HF_ENDPOINT', fake.endpoint)
  vi.stubEnv('HF_HUB_CACHE', root)
  vi.stubEnv('HF_HOME', join(root, 'home'))
})
afterEach(() => vi.unstubAllEnvs())

function filesOf(...names: readonly string[]): Map<string, FakeFile> {
  return new Map(
    names.map((name) => [name, { bytes: readFileSync(join(own, name)), large: name.endsWith('.safetensors') }]),
  )
}

/** Runs words that must succeed. */
async function runs(...words: readonly string[]) {
  const ran = await regraft(words)
  expect(ran.exitCode, ran.stderr).toBe(0)
  return ran
}

test('predict takes a model of the hub: one line before it is fetched, the same rows as from its folder', async () => {
  const plain = await runs('predict', own, pictures)
  const first = await runs('predict', repository, pictures)
  expect(first.stdout).toBe(plain.stdout)
  expect(first.stderr).toMatch(
    /^someone\/tiny: fetching [\d.]+ KiB from http:\/\/127\.0\.0\.1:\d+, licence cc-by-4\.0$/m,
  )
  fake.asked.length = 0
  const second = await runs('predict', repository, pictures, '--offline')
  expect(second.stdout).toBe(plain.stdout)
  expect(second.stderr).not.toMatch(/fetching/)
  expect(fake.asked).toEqual([])
})

test('a run remembers the licence of the weights, and goes on without the hub', async () => {
  const out = join(root, 'run')
  await runs(
    'train',
    pictures,
    '--model',
    repository,
    '--mode',
    'features',
    '--out',
    out,
    '--no-checks',
    '--val',
    '0.5',
  )
  expect(JSON.parse(readFileSync(join(out, 'best', 'config.json'), 'utf8'))).toMatchObject({
    pretrained_cfg: { license: 'cc-by-4.0' },
  })
  expect(JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')).model).toMatchObject({ name: repository })
  await runs('predict', out, pictures, '--offline')
})

test('inspect and export take one, too', async () => {
  const { stdout } = await runs('inspect', repository, '--json')
  expect(JSON.parse(stdout)).toMatchObject({ network: { architecture: 'mobilenetv1_025' } })
  await runs('export', repository, '--out', join(root, 'onnx'), '--offline')
})

test('a network that is not built here is refused before its weights are fetched', async () => {
  const config = { architecture: 'mystery_net', num_classes: 3 }
  fake.repositories.get(repository)?.set('config.json', { bytes: Buffer.from(JSON.stringify(config)) })
  const ran = await regraft(['predict', repository, pictures])
  expect(ran).toMatchObject({ exitCode: 4, stdout: '' })
  expect(ran.stderr).toMatch(/its weights are not fetched\. The architecture 'mystery_net' is not known/)
  expect(fake.asked.filter(({ host }) => host === 'store')).toEqual([])
})

test.each([
  ['--offline', ['predict', repository, pictures, '--offline'], /--offline forbids/],
  ['a name that nobody knows', ['predict', 'someone/else', pictures], /no such path, and no such model on the hub/],
  ['a word that is no name', ['models', 'info', 'nonsense'], /neither a name that 'regraft models list' has/],
  ['one that is not in the cache', ['models', 'rm', repository], /is not in the cache/],
])('%s ends with 4 and a message', async (_, words, message) => {
  const ran = await regraft(words)
  expect(ran).toMatchObject({ exitCode: 4, stdout: '' })
  expect(ran.stderr).toMatch(message)
})

test('weights that are damaged in the cache are not used', async () => {
  await runs('models', 'pull', repository)
  const { commit } = readCache(root, repository)
  const file = realpathSync(join(root, 'models--someone--tiny', 'snapshots', commit, 'model.safetensors'))
  const bytes = readFileSync(file)
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1
  writeFileSync(file, bytes)
  // Its own list of digests would find it as well.
  const ran = await regraft(['predict', repository, pictures])
  expect(ran.exitCode).toBe(4)
  const verified = await regraft(['models', 'verify', repository, '--json'])
  expect(verified.exitCode).toBe(4)
  const files: readonly { path: string; problem: string | null }[] = JSON.parse(verified.stdout)
  expect(files.filter(({ problem }) => problem !== null).map(({ path }) => path)).toEqual(['model.safetensors'])
})

describe('models', () => {
  test('list has every card, the licence, and whether its network runs here', async () => {
    const { stdout } = await runs('models', 'list', '--json')
    const entries: readonly Record<string, unknown>[] = JSON.parse(stdout)
    for (const card of cards)
      expect(entries.find(({ name }) => name === card.name)).toMatchObject({ licence: card.licence, cached: null })
    expect(entries.find(({ name }) => name === cardName)).toMatchObject({ built: true, place: 'hub' })
    expect(entries[0]).toMatchObject({ place: 'package', name: 'regraft_resnet14.tiny_imagenet', built: true })
    const table = await runs('models', 'list')
    expect(table.stdout.split('\n').length).toBeGreaterThan(cards.length + 2)
    expect(table.stdout).toMatch(/^name +runs here +licence/)
    expect(fake.asked).toEqual([])
  })

  test('the networks of the cards are those that their names say', () => {
    expect(new Set(cards.map(({ architecture }) => architecture)).size).toBeGreaterThanOrEqual(15)
    for (const { name, repository: at } of cards) expect(at).toBe(`timm/${name}`)
  })

  test('pull, info, verify and rm of a card by the name of its network', async () => {
    fake.repositories.set(`timm/${cardName}`, filesOf('config.json', 'model.safetensors'))
    const pulled = await runs('models', 'pull', 'mobilenetv2_100')
    expect(pulled.stderr).toMatch(/licence apache-2\.0/)
    expect(pulled.stdout.trim()).toBe(join(root, `models--timm--${cardName}`, 'snapshots', fake.commit))
    const info = await runs('models', 'info', cardName, '--json')
    expect(JSON.parse(info.stdout)).toMatchObject([
      {
        name: cardName,
        licence: 'apache-2.0',
        cached: { revisions: [{ commit: fake.commit, names: ['main'], source: fake.endpoint }] },
      },
    ])
    expect((await runs('models', 'info', cardName)).stdout).toContain(
      `sha-256 ${sha256Of(readFileSync(join(own, 'model.safetensors')))}`,
    )
    const verified = await runs('models', 'verify')
    expect(verified.stdout).toMatch(/model\.safetensors +ok +pinned on first use, the hub's name for it/)
    expect(verified.stdout).toMatch(/tiny_imagenet .*ok +published with regraft/)
    const again = await runs('models', 'pull', cardName)
    expect(again.stderr).toMatch(/already there/)
    await runs('models', 'rm', cardName)
    expect(readdirSync(root).filter((name) => name !== '.locks')).toEqual([])
  })

  test('rm of one revision leaves what others need', async () => {
    await runs('models', 'pull', repository)
    const before = fake.commit
    fake.commit = 'c3'.repeat(20)
    try {
      fake.repositories
        .get(repository)
        ?.set('config.json', { bytes: Buffer.from(`${readFileSync(join(own, 'config.json'))} `) })
      await runs('models', 'pull', repository)
      await runs('models', 'rm', `${repository}@${before}`)
      expect(readCache(root, repository).files.size).toBe(3)
      expect(existsSync(join(root, 'models--someone--tiny', 'snapshots', before))).toBe(false)
      expect(readdirSync(join(root, 'models--someone--tiny', 'blobs'))).toHaveLength(3)
      await runs('models', 'verify', repository)
    } finally {
      fake.commit = before
    }
  })

  test.each([
    [['models', 'lst'], /'lst' is not known; list, info, pull, verify, rm are\. Did you mean 'list'\?/],
    [['models', 'list', 'x'], /takes no names/],
    [['models', 'pull'], /a name is missing/],
    [['models', 'pull', 'default'], /comes with regraft/],
    [['models', 'rm', 'default'], /comes with regraft/],
    [['models', 'info', 'a/b@..'], /is not a revision/],
  ])('%j is a mistake', async (words, message) => {
    const ran = await regraft(words)
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ran.stderr).toMatch(message)
  })
})
