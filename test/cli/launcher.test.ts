// What stands before the command line: it makes libuv's pool large enough, and changes nothing else.
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { decodesAtATime } from '../../src/data/decodes-at-a-time.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { buildFile } from '../stories/built-regraft.ts'

const folder = temporaryFolder()

interface Surroundings {
  /** UV_THREADPOOL_SIZE as the user has it. */
  readonly poolSize?: string
  /** Cores that Node is to count. */
  readonly cores?: number
  readonly nodeWords?: readonly string[]
  readonly words?: readonly string[]
  readonly stdin?: string
  readonly signal?: NodeJS.Signals
}

/** The launcher, or Node alone, before a main module of which only the text is known. */
async function start(main: string, given: Surroundings = {}, direct = false) {
  const place = join(folder, String(counter++))
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), '{ "type": "module" }')
  const launcher = buildFile('cli/regraft.cts', place)
  const mainFile = join(place, 'cli', 'main.js')
  writeFileSync(mainFile, main)
  const cores = join(place, 'cores.cjs')
  const { poolSize, signal } = given
  writeFileSync(
    cores,
    given.cores === undefined ? '' : `require('node:os').availableParallelism = () => ${given.cores}`,
  )
  const { UV_THREADPOOL_SIZE: _, ...environment } = process.env
  const words = [...(given.nodeWords ?? []), '--require', cores, direct ? mainFile : launcher, ...(given.words ?? [])]
  return await new Promise<{ end: number | NodeJS.Signals | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      const child = spawn(process.execPath, words, {
        env: { ...environment, ...(poolSize === undefined ? {} : { UV_THREADPOOL_SIZE: poolSize }) },
      })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', (part) => {
        stdout += part
        if (signal) child.kill(signal)
      })
      child.stderr.on('data', (part) => (stderr += part))
      child.on('error', reject)
      child.on('close', (code, killedBy) => resolve({ end: code ?? killedBy, stdout, stderr }))
      child.stdin.end(given.stdin ?? '')
    },
  )
}
let counter = 0

const sayPoolSize = "console.log(process.env['UV_THREADPOOL_SIZE'])"

test('the pool has a thread for each picture that is decoded at a time, and four at least', async () => {
  const said = async (given: Surroundings) => (await start(sayPoolSize, given)).stdout
  expect(await said({ cores: 1 })).toBe('4\n')
  expect(await said({ cores: 3 })).toBe('4\n')
  expect(await said({ cores: 4 })).toBe('5\n')
  expect(await said({ cores: 31 })).toBe('32\n')
  expect(await said({})).toBe(`${Math.max(4, decodesAtATime())}\n`)
})

test("a user's own size of the pool is kept", async () => {
  for (const poolSize of ['1', '2', '64', ''])
    expect((await start(sayPoolSize, { poolSize, cores: 8 })).stdout).toBe(`${poolSize}\n`)
})

// All threads of the pool start with its first job.
const countThreads = `
  import { readdirSync } from 'node:fs'
  import { stat } from 'node:fs/promises'
  await stat('.')
  console.log(readdirSync('/proc/self/task').length)`

test.skipIf(process.platform !== 'linux')('libuv hears of the size before it starts the pool', async () => {
  const threads = async (given: Surroundings) => Number((await start(countThreads, given)).stdout)
  const atFour = await threads({ poolSize: '4' })
  expect(await threads({ cores: 22 })).toBe(atFour + 23 - 4)
  expect(await threads({ cores: 22, poolSize: '6' })).toBe(atFour + 6 - 4)
})

test('threads and processes that are started inherit it', async () => {
  const main = `
    import { execFileSync } from 'node:child_process'
    import { Worker } from 'node:worker_threads'
    const say = 'console.log(process.env.UV_THREADPOOL_SIZE)'
    process.stdout.write(execFileSync(process.execPath, ['-e', say]))
    new Worker(say, { eval: true })`
  expect((await start(main, { cores: 9 })).stdout).toBe('10\n10\n')
})

const ends: readonly [string, string, Surroundings][] = [
  [
    'words and standard input',
    'process.stdin.pipe(process.stdout); console.log(process.argv.slice(2))',
    { words: ['predict', '--json', '-0', ''], stdin: 'a\0b' },
  ],
  ['an exit code of its own', 'process.exitCode = await Promise.resolve(75)', {}],
  ['an exit code of 0', 'process.exitCode = 0', {}],
  ['an end by force', 'process.exit(130)', {}],
  ['an end by force that is a success', 'process.exit(0)', {}],
  ['an error while it is loaded', 'throw new Error("no luck")', {}],
  [
    'an error while it works',
    'setTimeout(() => { throw new TypeError("no luck") }, 1); process.exitCode = await new Promise(() => {})',
    {},
  ],
  [
    'an error when rejections are only warned of',
    'throw new Error("no luck")',
    { nodeWords: ['--unhandled-rejections=warn'] },
  ],
  [
    'a signal that nobody hears',
    'console.log("here"); setTimeout(() => {}, 1e5); await new Promise(() => {})',
    { signal: 'SIGTERM' },
  ],
  [
    'a signal that is heard',
    'process.on("SIGINT", () => process.exit(130)); console.log("here"); setTimeout(() => {}, 1e5); await new Promise(() => {})',
    { signal: 'SIGINT' },
  ],
]

test.each(ends)('%s: all is as without the launcher', async (_, main, given) => {
  const direct = await start(main, given, true)
  const launched = await start(main, given)
  expect({ end: launched.end, stdout: launched.stdout }, launched.stderr).toEqual({
    end: direct.end,
    stdout: direct.stdout,
  })
  const told = (text: string) => /^\w*Error: .*/m.exec(text)?.[0]
  expect(told(launched.stderr)).toBe(told(direct.stderr))
})

test('what cannot be loaded is said as Node says it', async () => {
  const main = 'import "./that-is-not-there.js"'
  const direct = await start(main, {}, true)
  const launched = await start(main)
  expect([direct.end, launched.end]).toEqual([1, 1])
  const told = /Error \[ERR_MODULE_NOT_FOUND\]: Cannot find module .*that-is-not-there/
  expect(direct.stderr).toMatch(told)
  expect(launched.stderr).toMatch(told)
})

test('work that stops short is no success', async () => {
  const main = 'process.exitCode = await new Promise(() => {})'
  expect((await start(main, {}, true)).end).toBe(13)
  const { end, stderr } = await start(main)
  expect({ end, stderr }).toEqual({
    end: 13,
    stderr: 'regraft: nothing was left to wait for before the work had ended.\n',
  })
})
