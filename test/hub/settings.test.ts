import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ask } from '../../src/hub/http.ts'
import { hubIdText, parseHubId } from '../../src/hub/hub-id.ts'
import { hubSettings } from '../../src/hub/hub-settings.ts'
import { proxyFor } from '../../src/hub/proxy.ts'

describe('the cache lies', () => {
  test.each([
    [{}, join(homedir(), '.cache', 'huggingface', 'hub')],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/h/hub'],
    [{ HUGGINGFACE_HUB_CACHE: '/old', HF_HOME: '/h' }, '/old'],
    [{ HF_HUB_CACHE: '~/c', HUGGINGFACE_HUB_CACHE: '/old' }, join(homedir(), 'c')],
    [{ HF_HUB_CACHE: '$DISK/c', DISK: '/d' }, '/d/c'],
  ])('with %j in %s', (environment, root) => {
    expect(hubSettings(environment).root).toBe(root)
  })
})

test.each(['', 'x', '-1', '1e9'])('a timeout of %j is refused or the usual one', (value) => {
  const settings = () => hubSettings({ HF_HUB_ETAG_TIMEOUT: value })
  if (value === '') expect(settings().answerMs).toBe(10_000)
  else expect(settings).toThrow(/HF_HUB_ETAG_TIMEOUT/)
})

describe('names of models', () => {
  test.each(['timm/resnet18.a1_in1k', 'a/b@refs/pr/1', 'A-b/c_d@v1.0', 'a/b@0123456789012345678901234567890123456789'])(
    '%s is one',
    (name) => {
      const id = parseHubId(name)
      expect(id && hubIdText(id)).toBe(name)
    },
  )

  test.each([
    'resnet18',
    './a/b',
    '/a/b',
    'a/b/c',
    '../b',
    'a/..',
    'a--b/c',
    'a/b.git',
    'a/-b',
    'a\\b/c',
    'a/b c',
    '~/b',
    '',
  ])('%j is none', (name) => {
    expect(parseHubId(name)).toBeUndefined()
  })

  test.each(['a/b@', 'a/b@../x', 'a/b@x/../y', 'a/b@/x', 'a/b@a b', 'a/b@x@y', 'a/b@\u0000'])(
    '%j names no revision',
    (name) => {
      expect(() => parseHubId(name)).toThrow(/is not a revision/)
    },
  )
})

describe('proxies', () => {
  const url = new URL('https://huggingface.co/x')
  test.each<[Record<string, string>, string | undefined]>([
    [{}, undefined],
    [{ HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
    [{ https_proxy: 'p:1' }, 'http://p:1/'],
    [{ HTTP_PROXY: 'http://p:1' }, undefined],
    [{ ALL_PROXY: 'http://p:1' }, 'http://p:1/'],
    [{ HTTPS_PROXY: 'http://p:1', NO_PROXY: '*' }, undefined],
    [{ HTTPS_PROXY: 'http://p:1', no_proxy: 'example.com, .huggingface.co' }, undefined],
    [{ HTTPS_PROXY: 'http://p:1', NO_PROXY: 'face.co' }, 'http://p:1/'],
    [{ HTTPS_PROXY: 'http://p:1', NO_PROXY: 'huggingface.co:8443' }, 'http://p:1/'],
    [{ HTTPS_PROXY: 'http://p:1', NODE_USE_ENV_PROXY: '1' }, undefined],
  ])('%j means %s', (environment, proxy) => {
    expect(proxyFor(url, environment)?.href).toBe(proxy)
  })

  test('of another kind are refused without their password', () => {
    expect(() => proxyFor(url, { HTTPS_PROXY: 'socks5://me:secret@p:1' })).toThrow(/^(?!.*secret).*socks5/)
  })

  test('are asked with the whole address, and with their password', async () => {
    const target = createServer((_, response) => response.end('hello')).listen(0)
    const seen: string[] = []
    const proxy = createServer((request, response) => {
      seen.push(`${request.url} ${request.headers['proxy-authorization']}`)
      httpRequest(request.url ?? '', (answer) => answer.pipe(response)).end()
    }).listen(0)
    const portOf = (server: typeof target) => (server.address() as AddressInfo).port
    try {
      const endpoint = `http://127.0.0.1:${portOf(target)}`
      const settings = hubSettings({ HF_ENDPOINT: endpoint, HTTP_PROXY: `http://me:pass@127.0.0.1:${portOf(proxy)}` })
      const answer = await ask(`${endpoint}/a`, settings, { method: 'GET', token: undefined, signal: undefined })
      const pieces: Uint8Array[] = []
      for await (const piece of answer.pieces()) pieces.push(piece)
      expect(Buffer.concat(pieces).toString()).toBe('hello')
      expect(seen).toEqual([`${endpoint}/a Basic ${Buffer.from('me:pass').toString('base64')}`])
    } finally {
      target.close()
      proxy.close()
    }
  })

  test('give https a tunnel that they cannot look into', async () => {
    const seen: (string | undefined)[] = []
    const first: Buffer[] = []
    const target = createServer().listen(0)
    const proxy = createServer().listen(0)
    // The first bytes of TLS, by whoever plays the target: a handshake, and no word of the request.
    target.on('clientError', (_, socket) => socket.destroy())
    proxy.on('connect', (request, socket) => {
      seen.push(request.url)
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const out = connect((target.address() as AddressInfo).port, '127.0.0.1')
      socket.on('data', (part: Buffer) => first.push(part))
      socket.pipe(out).pipe(socket)
      out.on('error', () => socket.destroy())
      socket.on('error', () => out.destroy())
    })
    try {
      const settings = hubSettings({ HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
      const asked = ask('https://hub.invalid/a?b=c', settings, { method: 'GET', token: undefined, signal: undefined })
      await expect(asked).rejects.toMatchObject({ message: expect.stringMatching(/./) })
      expect(seen).toEqual(['hub.invalid:443'])
      expect(first[0]?.[0]).toBe(22)
      expect(Buffer.concat(first).toString('latin1')).not.toContain('GET')
    } finally {
      target.close()
      proxy.close()
    }
  })
})
