// Two at once: in two processes, and after one that was killed.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { withLock } from '../../src/hub/lock.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { type FakeHub, largeFile, startFakeHub, startOf } from './fake-hub.ts'
import { readCache } from './second-reader.ts'

const folder = temporaryFolder()
const repository = 'timm/tiny.test'
const times = { refreshMs: 20, goneMs: 200, lookMs: 10 }
let fake: FakeHub | undefined
afterEach(() => fake?.close())

const program = fileURLToPath(new URL('one-pull.ts', import.meta.url))

function pull(endpoint: string, root: string) {
  const child = spawn(process.execPath, ['--import', 'tsx', program, repository], {
    env: {
      ...process.env,
      HF_ENDPOINT: endpoint,
      HF_HUB_CACHE: root,
      HF_HOME: root,
      HF_HUB_OFFLINE: '',
      HTTP_PROXY: '',
      http_proxy: '',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (part) => {
    text += part
  })
  const ended = new Promise<string>((resolve) => child.on('close', () => resolve(text)))
  return { child, ended }
}

async function hubOf(bytes: Buffer): Promise<FakeHub> {
  const hub = await startFakeHub()
  fake = hub
  hub.repositories.set(
    repository,
    new Map([
      ['config.json', { bytes: Buffer.from('{}') }],
      ['model.safetensors', { bytes, large: true }],
    ]),
  )
  return hub
}

describe('two processes', () => {
  test('that want the same model fetch it once', async () => {
    const bytes = Buffer.alloc(400_000, 7)
    const hub = await hubOf(bytes)
    hub.store = (request, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 1000))
      const waiting = setInterval(() => {
        // Both have asked for all that they need, and the second has had time to look at the lock.
        if (hub.asked.filter(({ url }) => url.endsWith('/regraft.json')).length < 2) return
        clearInterval(waiting)
        setTimeout(() => response.end(largeFile(hub, request).subarray(1000)), 2000)
      }, 50)
    }
    const root = mkdtempSync(join(folder, 'two-'))
    const both = [pull(hub.endpoint, root), pull(hub.endpoint, root)]
    const said = await Promise.all(both.map(({ ended }) => ended))
    for (const text of said) expect(JSON.parse(text)).toMatchObject({ fetchedBytes: 400_000 })
    expect(said.filter((text) => text.includes('another process fetches it'))).toHaveLength(1)
    expect(hub.asked.filter(({ host }) => host === 'store')).toHaveLength(1)
    expect(readCache(root, repository).files.get('model.safetensors')?.equals(bytes)).toBe(true)
    expect(readdirSync(join(root, '.locks', 'models--timm--tiny.test'))).toEqual([])
  })

  test('of which one is killed leave the other no wait and no loss', async () => {
    const bytes = Buffer.alloc(400_000, 7)
    const hub = await hubOf(bytes)
    const root = mkdtempSync(join(folder, 'killed-'))
    const begun = new Promise<void>((resolve) => {
      hub.store = (_, response) => {
        response.writeHead(200, { 'content-length': bytes.length })
        response.write(bytes.subarray(0, 100_000), () => setTimeout(resolve, 300))
      }
    })
    const first = pull(hub.endpoint, root)
    await begun
    first.child.kill('SIGKILL')
    await first.ended
    hub.store = (request, response, usual) => {
      expect(startOf(request)).toBe(100_000)
      usual()
      response.on('close', () => undefined)
    }
    const said = await pull(hub.endpoint, root).ended
    expect(JSON.parse(said)).toMatchObject({ notes: [expect.stringContaining('fetching')] })
    expect(readCache(root, repository).files.get('model.safetensors')?.equals(bytes)).toBe(true)
  })
})

describe('a lock', () => {
  const file = join(folder, 'locks', 'a')
  const options = { signal: undefined, onWait: () => undefined, times }

  test('is held by one at a time', async () => {
    let inside = 0
    const work = async () => {
      inside += 1
      expect(inside).toBe(1)
      await new Promise((resolve) => setTimeout(resolve, 30))
      inside -= 1
    }
    await Promise.all(Array.from({ length: 5 }, () => withLock(file, options, work)))
  })

  test('is kept by work that takes longer than the silence after which it is taken', async () => {
    const order: string[] = []
    const long = withLock(file, options, async () => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      order.push('long')
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await withLock(file, options, async () => void order.push('second'))
    await long
    expect(order).toEqual(['long', 'second'])
  })

  test.each([
    ['a process that is gone', `mark 4194999 0 ${hostname()}\n`, 0, 150],
    ['another machine that is silent', 'mark 1 0 elsewhere\n', 190, 2000],
  ])('of %s is taken', async (_, text, least, most) => {
    writeFileSync(file, text)
    const begun = performance.now()
    await withLock(file, options, async () => undefined)
    expect(performance.now() - begun).toBeGreaterThanOrEqual(least)
    expect(performance.now() - begun).toBeLessThan(most)
  })

  test('is given back when the work fails', async () => {
    await expect(withLock(file, options, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    await withLock(file, options, async () => undefined)
  })

  test('is not waited for once the signal fires', async () => {
    const stop = new AbortController()
    const waiting = withLock(file, options, async () => {
      setTimeout(() => stop.abort(), 20)
      await expect(withLock(file, { ...options, signal: stop.signal }, async () => undefined)).rejects.toMatchObject({
        code: 'interrupted',
      })
    })
    await waiting
  })
})
