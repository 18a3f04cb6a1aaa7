// Models from a hub that keeps its promises, and from one that does not. No request leaves this machine.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { HubEvent } from '../../src/hub/hub-events.ts'
import { parseHubId } from '../../src/hub/hub-id.ts'
import { type HubModelOptions, hubModel } from '../../src/hub/hub-model.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { etagOf, type FakeFile, type FakeHub, largeFile, sha256Of, startFakeHub, startOf } from './fake-hub.ts'
import { readCache, unfinished } from './second-reader.ts'

const folder = temporaryFolder()
const repository = 'timm/tiny.test'
const config: FakeFile = { bytes: Buffer.from('{"architecture":"mobilenetv1_025"}\n') }
const weights: FakeFile = {
  bytes: Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)),
  large: true,
}
let fake: FakeHub
let root: string
let model: string

beforeAll(async () => {
  fake = await startFakeHub()
})
afterAll(() => fake.close())

beforeEach(() => {
  root = mkdtempSync(join(folder, 'cache-'))
  model = join(root, 'models--timm--tiny.test')
  fake.repositories.set(
    repository,
    new Map([
      ['config.json', config],
      ['model.safetensors', weights],
    ]),
  )
  fake.asked.length = 0
  fake.commit = 'a1'.repeat(20)
  fake.licence = 'apache-2.0'
  for (const name of Object.keys(process.env)) if (/^(HF_|HUGGING|.*_proxy$)/i.test(name)) vi.stubEnv(name, undefined)
  vi.stubEnv('HF_ENDPOINT', fake.endpoint)
  vi.stubEnv('HF_HUB_CACHE', root)
  vi.stubEnv('HF_HOME', join(root, 'home'))
})
afterEach(() => {
  fake.hub = undefined
  fake.store = undefined
  vi.unstubAllEnvs()
})

async function get(name = repository, options: HubModelOptions = {}) {
  const id = parseHubId(name)
  if (id === undefined) throw new Error(`${name} is no name`)
  const events: HubEvent[] = []
  const got = await hubModel(id, { ...options, listener: (event) => events.push(event) })
  return { ...got, notes: events.flatMap((event) => (event.type === 'note' ? [event.message] : [])), events }
}

async function refusal(name = repository, options: HubModelOptions = {}): Promise<string> {
  const error = await get(name, options).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: 'RegraftError', code: 'weights', exitCode: 4 })
  expectNothingHalf()
  return (error as Error).message
}

/** Whatever has a final name is what its name says. */
function expectNothingHalf(): void {
  const blobs = join(model, 'blobs')
  for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
    if (name.endsWith('.incomplete')) continue
    const bytes = readFileSync(join(blobs, name))
    expect([sha256Of(bytes), etagOf({ bytes })]).toContain(name)
  }
}

describe('a hub that keeps its contract', () => {
  test('fills the cache as its other readers expect it, after one line', async () => {
    const got = await get()
    expect(got.notes).toEqual([`${repository}: fetching 293.0 KiB from ${fake.endpoint}, licence apache-2.0`])
    const read = readCache(root, repository)
    expect(read.commit).toBe(fake.commit)
    expect([...read.files.keys()].sort()).toEqual(['config.json', 'model.safetensors'])
    expect(read.files.get('model.safetensors')?.equals(weights.bytes)).toBe(true)
    expect(unfinished(root, repository)).toEqual([])
    expect(readdirSync(join(model, 'blobs')).sort()).toEqual([etagOf(config), etagOf(weights)].sort())
    expect(got.pins.get('model.safetensors')).toEqual({ bytes: 300_000, sha256: sha256Of(weights.bytes) })
    expect(got.events.filter(({ type }) => type === 'progress').at(-1)).toMatchObject({ done: 300_000, total: 300_000 })
  })

  test('is not asked again for what is there', async () => {
    await get()
    fake.asked.length = 0
    const again = await get()
    expect(fake.asked).toEqual([])
    expect(again).toMatchObject({ fetchedBytes: 0, licence: 'apache-2.0', source: fake.endpoint, notes: [] })
  })

  test('is asked by refresh, which follows the branch and fetches only what has changed', async () => {
    await get()
    const before = fake.commit
    fake.commit = 'b2'.repeat(20)
    fake.repositories.get(repository)?.set('config.json', { bytes: Buffer.from('{"architecture":"resnet18"}') })
    fake.asked.length = 0
    const again = await get(repository, { refresh: true })
    expect(again).toMatchObject({ commit: fake.commit, fetchedBytes: 0 })
    expect(fake.asked.filter(({ host }) => host === 'store')).toEqual([])
    expect(readCache(root, repository).commit).toBe(fake.commit)
    expect((await get(`${repository}@${before}`)).commit).toBe(before)
  })

  test('gives another revision by its name', async () => {
    await get(`${repository}@v1/beta`)
    expect(readCache(root, repository, 'v1/beta').files.size).toBe(2)
    expect(existsSync(join(model, 'refs', 'main'))).toBe(false)
  })

  test('gives shards by their index', async () => {
    const shards = { a: 'model-1-of-2.safetensors', b: 'model-2-of-2.safetensors' }
    const files = new Map<string, FakeFile>([
      ['config.json', config],
      ['model.safetensors.index.json', { bytes: Buffer.from(JSON.stringify({ weight_map: shards })) }],
      [shards.a, { bytes: Buffer.from('first'), large: true }],
      [shards.b, { bytes: Buffer.from('second'), large: true }],
      ['README.md', { bytes: Buffer.from('not needed') }],
    ])
    fake.repositories.set(repository, files)
    await get()
    expect([...readCache(root, repository).files.keys()].sort()).toEqual([...files.keys()].sort().slice(1))
  })

  test('gets the token itself, and the store of large files does not', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret')
    await get()
    const tokens = (host: string) =>
      new Set(fake.asked.filter((asked) => asked.host === host).map(({ token }) => token))
    expect([...tokens('hub')]).toEqual(['Bearer hf_secret'])
    expect([...tokens('store')]).toEqual([undefined])
  })

  test('gets the token that another program has left', async () => {
    mkdirSync(join(root, 'home'))
    writeFileSync(join(root, 'home', 'token'), 'hf_left\n')
    await get()
    expect(fake.asked[0]?.token).toBe('Bearer hf_left')
  })

  test('fills a cache without links with copies', async () => {
    vi.stubEnv('HF_HUB_DISABLE_SYMLINKS', '1')
    const { weights: place } = await get()
    expect(readFileSync(place).equals(weights.bytes)).toBe(true)
    expect(readCache(root, repository).files.size).toBe(2)
    fake.asked.length = 0
    await get()
    expect(fake.asked).toEqual([])
  })

  test('whose configuration is of no use gives no weights', async () => {
    const check = () => Promise.reject(new Error('not of use'))
    await expect(get(repository, { check })).rejects.toThrow('not of use')
    expect(fake.asked.filter(({ host }) => host === 'store')).toEqual([])
  })
})

describe('a cache that another program filled', () => {
  beforeEach(() => {
    for (const at of ['refs', 'blobs', `snapshots/${fake.commit}`]) mkdirSync(join(model, at), { recursive: true })
    writeFileSync(join(model, 'refs', 'main'), fake.commit)
    for (const [name, file] of fake.repositories.get(repository) ?? []) {
      writeFileSync(join(model, 'blobs', etagOf(file)), file.bytes)
      symlinkSync(`../../blobs/${etagOf(file)}`, join(model, 'snapshots', fake.commit, name))
    }
  })

  test('is used without a request, and pinned', async () => {
    const got = await get(repository, { offline: true })
    expect(fake.asked).toEqual([])
    expect(got).toMatchObject({ source: undefined, commit: fake.commit })
    expect(got.pins.get('config.json')?.sha256).toBe(sha256Of(config.bytes))
    expect(existsSync(join(model, '.regraft.json'))).toBe(true)
  })

  test('goes on where that program stopped', async () => {
    const blob = join(model, 'blobs', etagOf(weights))
    writeFileSync(`${blob}.incomplete`, weights.bytes.subarray(0, 100_000))
    writeFileSync(blob, '')
    await get(repository, { refresh: true })
    expect(fake.asked.filter(({ host }) => host === 'store').map(({ range }) => range)).toEqual(['bytes=100000-'])
    expect(readFileSync(blob).equals(weights.bytes)).toBe(true)
  })
})

describe('without a network', () => {
  test.each([
    ['HF_HUB_OFFLINE', 'true'],
    ['TRANSFORMERS_OFFLINE', '1'],
    ['HF_HUB_OFFLINE', 'ON'],
  ])('%s=%s forbids every request', async (name, value) => {
    vi.stubEnv(name, value)
    expect(await refusal()).toMatch(/neither a path nor whole in the cache .* HF_HUB_OFFLINE forbids/)
    expect(fake.asked).toEqual([])
  })

  test('--offline does, too', async () => {
    expect(await refusal(repository, { offline: true })).toMatch(
      /--offline forbids .*\nRun 'regraft models pull timm\/tiny\.test'/,
    )
  })

  test('nobody who answers is told', async () => {
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:2')
    expect(await refusal()).toMatch(/could not be reached: .*ECONNREFUSED/)
  }, 20_000)

  test('an endpoint that is none is a mistake', async () => {
    vi.stubEnv('HF_ENDPOINT', 'file:///etc')
    await expect(get()).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('a server that is not to be trusted', () => {
  test('cuts connections: the rest is fetched by ranges', async () => {
    fake.store = (request, response) => {
      const bytes = largeFile(fake, request)
      const start = startOf(request)
      const headers = {
        'content-length': bytes.length - start,
        'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      }
      response.writeHead(start > 0 ? 206 : 200, headers)
      response.write(bytes.subarray(start, start + 120_000), () => response.destroy())
    }
    await get()
    expect(fake.asked.flatMap(({ host, range }) => (host === 'store' ? [range] : []))).toEqual([
      undefined,
      'bytes=120000-',
      'bytes=240000-',
    ])
    expectNothingHalf()
    expect(readCache(root, repository).files.get('model.safetensors')?.equals(weights.bytes)).toBe(true)
  }, 20_000)

  test('cuts every connection: what came is kept, and the next attempt goes on', async () => {
    fake.store = (request, response) => {
      if (startOf(request) > 0) return void response.destroy()
      response.writeHead(200, { 'content-length': weights.bytes.length })
      response.write(weights.bytes.subarray(0, 50_000), () => response.destroy())
    }
    expect(await refusal()).toMatch(/could not be reached[\s\S]*50000 of 300000 bytes of model\.safetensors are kept/)
    expect(unfinished(root, repository)).toEqual([`${etagOf(weights)}.incomplete`])
    fake.store = undefined
    fake.asked.length = 0
    await get()
    expect(fake.asked.find(({ host }) => host === 'store')?.range).toBe('bytes=50000-')
    expect(readCache(root, repository).files.get('model.safetensors')?.equals(weights.bytes)).toBe(true)
  }, 30_000)

  test('knows no ranges: it is begun anew', async () => {
    mkdirSync(join(model, 'blobs'), { recursive: true })
    writeFileSync(join(model, 'blobs', `${etagOf(weights)}.incomplete`), Buffer.alloc(1000, 1))
    fake.store = (_, response) =>
      void response.writeHead(200, { 'content-length': weights.bytes.length }).end(weights.bytes)
    await get()
    expectNothingHalf()
  })

  test('what is left of another attempt is wrong: once from the beginning', async () => {
    mkdirSync(join(model, 'blobs'), { recursive: true })
    writeFileSync(join(model, 'blobs', `${etagOf(weights)}.incomplete`), Buffer.alloc(1000, 1))
    await get()
    expect(fake.asked.flatMap(({ host, range }) => (host === 'store' ? [range] : []))).toEqual([
      'bytes=1000-',
      undefined,
    ])
    expectNothingHalf()
  })

  test.each<[string, FakeHub['store'], RegExp]>([
    [
      'announces too little',
      (_, response) => void response.writeHead(200, { 'content-length': 10 }).end('0123456789'),
      /announces 10 bytes where 300000/,
    ],
    [
      'gives too much',
      (_, response) => {
        response.writeHead(200)
        for (let i = 0; i < 5; i++) response.write(Buffer.alloc(100_000, 1))
        response.end()
      },
      /more comes than the 300000 bytes/,
    ],
    [
      'swaps the contents',
      (_, response) => void response.writeHead(200, { 'content-length': 300_000 }).end(Buffer.alloc(300_000, 1)),
      /not what the hub promised/,
    ],
    [
      'sends a page',
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><p>Log in'),
      /an HTML page/,
    ],
    [
      'sends a Git LFS pointer',
      (_, response) =>
        void response
          .writeHead(200)
          .end(`version https://git-lfs.github.com/spec/v1\noid sha256:${sha256Of(weights.bytes)}\nsize 300000\n`),
      /a Git LFS pointer/,
    ],
    [
      'sends the wrong part',
      (_, response) => void response.writeHead(206, { 'content-range': 'bytes 5-9/10' }).end('abcde'),
      /another part/,
    ],
    ['refuses', (_, response) => void response.writeHead(403).end('expired'), /refuses the file \(status 403\)/],
    [
      'redirects for ever',
      (_, response) => void response.writeHead(302, { location: '/again' }).end(),
      /from one redirect to the next/,
    ],
    [
      'redirects to a file',
      (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      /no address on the web/,
    ],
  ])('%s: it is refused and nothing is kept', async (_, store, message) => {
    fake.store = store
    expect(await refusal()).toMatch(message)
    expect(readdirSync(join(model, 'blobs'))).toEqual([etagOf(config)])
    expect(existsSync(join(model, 'refs', 'main'))).toBe(false)
    await expect(get(repository, { offline: true })).rejects.toMatchObject({ code: 'weights' })
  })

  test('is silent: after a while it is given up', async () => {
    vi.stubEnv('HF_HUB_DOWNLOAD_TIMEOUT', '0.1')
    fake.store = (_, response) => {
      response.writeHead(200, { 'content-length': 300_000 })
      response.write('abc')
    }
    expect(await refusal()).toMatch(/nothing came for 0\.1 seconds/)
  }, 30_000)

  test.each<[string, Record<string, string>, RegExp]>([
    ['a page', { 'content-type': 'text/html; charset=utf-8' }, /is an HTML page/],
    ['no commit', { 'x-repo-commit': '' }, /names no commit/],
    ['a commit that is a path', { 'x-repo-commit': '../../../../etc' }, /names no commit/],
    ['a digest that is a path', { etag: '"../../../x"' }, /names no digest/],
    ['no digest', { etag: '' }, /names no digest/],
    ['a size that is none', { 'x-linked-size': '1e9' }, /how large/],
  ])('answers with %s: it is not believed', async (_, headers, message) => {
    fake.hub = (_, response) => {
      const usual = { 'x-repo-commit': fake.commit, etag: `"${etagOf(config)}"`, 'content-length': '34' }
      response.writeHead(200, { ...usual, ...headers }).end()
    }
    expect(await refusal()).toMatch(message)
    expect(existsSync(join(root, '..', 'etc'))).toBe(false)
  })

  test('gives other contents for the same commit: the first ones are held to', async () => {
    await get()
    fake.repositories.get(repository)?.set('model.safetensors', { bytes: Buffer.alloc(300_000, 2), large: true })
    expect(await refusal(repository, { refresh: true })).toMatch(/another model\.safetensors for this commit/)
    expect((await get(repository, { offline: true })).pins.get('model.safetensors')?.sha256).toBe(
      sha256Of(weights.bytes),
    )
  })

  test('names a shard outside the folder: it is refused', async () => {
    const index = { weight_map: { a: '../../../evil.safetensors' } }
    fake.repositories.set(
      repository,
      new Map([
        ['config.json', config],
        ['model.safetensors.index.json', { bytes: Buffer.from(JSON.stringify(index)) }],
      ]),
    )
    expect(await refusal()).toMatch(/names '\.\.\/\.\.\/\.\.\/evil\.safetensors'/)
  })

  test('holds a pointer or a page where a file should be, with the right digest: it is refused', async () => {
    for (const text of ['version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n', '<html>404</html>']) {
      fake.repositories.set(
        repository,
        new Map([
          ['config.json', config],
          ['model.safetensors', { bytes: Buffer.from(text) }],
        ]),
      )
      expect(await refusal()).toMatch(/Git LFS pointer|HTML page/)
    }
  })

  test.each<[number, string, RegExp]>([
    [401, 'RepoNotFound', /no such model on the hub \(status 401\)[\s\S]*HF_TOKEN/],
    [403, 'GatedRepo', /terms to be accepted/],
    [404, 'RevisionNotFound', /no revision 'main'/],
    [418, 'Teapot', /refuses with status 418, Teapot/],
  ])('refuses with %d %s: it is said why', async (status, code, message) => {
    fake.hub = (_, response) => void response.writeHead(status, { 'x-error-code': code }).end()
    expect(await refusal()).toMatch(message)
  })

  test('is busy for a moment: it is asked again', async () => {
    let times = 0
    fake.hub = (_, response, usual) => {
      times += 1
      if (times === 1) response.writeHead(503).end()
      else usual()
    }
    await get()
    expect(readCache(root, repository).files.size).toBe(2)
  })
})

test('an aborted download keeps what came, and gives the reason', async () => {
  const stop = new AbortController()
  fake.store = (_, response) => {
    response.writeHead(200, { 'content-length': 300_000 })
    response.write(weights.bytes.subarray(0, 1000), () => setTimeout(() => stop.abort(), 50))
  }
  await expect(get(repository, { signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' })
  expect(unfinished(root, repository)).toHaveLength(1)
})

test('another program that writes to the same file is noticed', async () => {
  const partial = join(model, 'blobs', `${etagOf(weights)}.incomplete`)
  fake.store = (_, response) => {
    response.writeHead(200, { 'content-length': 300_000 })
    response.write(weights.bytes.subarray(0, 1000))
    setTimeout(() => {
      writeFileSync(partial, 'mine', { flag: 'a' })
      response.end(weights.bytes.subarray(1000))
    }, 100)
  }
  expect(await refusal()).toMatch(/Another program writes to .*\.incomplete too/)
})
