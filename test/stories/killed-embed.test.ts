// kill -9 at any moment costs work, never rows: resumed as often as needed, the files are those of an undisturbed run.
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { randomStream } from '../../src/random.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { buildRegraft } from './built-regraft.ts'
import { drawFolder } from './drawn-pictures.ts'
import { savedModel } from './random-model.ts'

const folder = temporaryFolder()
const pictures = join(folder, 'pictures')
const model = join(folder, 'model')
let main: string

beforeAll(async () => {
  main = buildRegraft(join(folder, 'regraft'))
  await savedModel(model, 'mobilenetv1_025')
  const drawn = await drawFolder(join(folder, 'drawn'), 4)
  mkdirSync(pictures)
  for (let copy = 0; copy < 120; copy++) {
    for (const [at, file] of drawn.entries()) copyFileSync(file, join(pictures, `${copy}-${at}.png`))
    if (copy % 9 === 0) writeFileSync(join(pictures, `${copy}-bad.png`), 'no picture')
  }
})

/** Runs embed in a process that is killed after so many milliseconds, unless it ends before. */
function embed(out: string, killAfterMs?: number): Promise<number | null> {
  const words = [
    main,
    'embed',
    pictures,
    '--model',
    model,
    '--out',
    out,
    '--resume',
    '--format',
    'safetensors',
    '--quiet',
  ]
  const child = spawn(process.execPath, words, { stdio: 'inherit' })
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve(code)
    })
  })
}

const contents = (out: string) =>
  Object.fromEntries(
    readdirSync(out)
      .sort()
      .map((name) => [name, readFileSync(join(out, name)).toString('base64')]),
  )

// REGRAFT_KILLS asks for more of them.
test('embed killed at random moments and resumed gives the bytes of an undisturbed run', {
  timeout: 3_600_000,
}, async () => {
  const whole = join(folder, 'whole')
  const startedAt = performance.now()
  expect(await embed(whole)).toBe(0)
  const wholeMs = performance.now() - startedAt
  const expected = contents(whole)
  expect(Object.keys(expected)).toEqual(['X.safetensors', 'index.csv', 'meta.json'])
  const random = randomStream({ seed: 5, purpose: 'moments of death' })
  const wanted = Number(process.env['REGRAFT_KILLS'] ?? 6)
  let kills = 0
  for (let run = 0; kills < wanted; run++) {
    const out = join(folder, `killed-${run}`)
    for (;;) {
      // What is left takes less time than the whole.
      const code = await embed(out, (0.2 + 0.9 * random.uniform()) * wholeMs)
      if (code === 0) break
      expect(code).toBe(null)
      kills += 1
    }
    expect(contents(out)).toEqual(expected)
    expect(existsSync(join(out, 'unfinished'))).toBe(false)
  }
})
