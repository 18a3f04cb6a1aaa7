// The repository speaks of itself alone: it names no machine on which it was made.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const notOurs = new Set(['node_modules', 'dist', 'wasm', 'runs', 'coverage', '.git'])

/** The files under version control; where git is not at hand, all that are not brought or made. */
function filesOfRepository(): string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '-z'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    if (listed !== '') return listed.split('\0').filter((file) => file !== '' && existsSync(join(root, file)))
  } catch {
    // An unpacked archive is no clone.
  }
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((file) => !file.split('/').some((part) => notOurs.has(part)))
}

const files = filesOfRepository()
const textOf = (file: string) => readFileSync(join(root, file)).toString('latin1')

// In pieces, so that this file does not find itself.
const foreign: Readonly<Record<string, RegExp>> = {
  'a path of some machine': new RegExp(['/wor', 'k/|/ro', 'ot/|/tm', 'p/wt|/ho', 'me/[a-z]|/Us', 'ers/'].join('')),
  'the host of a registry': new RegExp(
    ['https?://[^\\s/"]*(regis', 'try|npm', 'js|artif', 'actory|nex', 'us|verd', 'accio)'].join(''),
    'i',
  ),
  // 127.0.0.1 is whatever computer runs it.
  'an address inside a network': /\b10(\.\d{1,3}){3}\b|\b192\.168(\.\d{1,3}){2}\b/,
}

test.each(Object.keys(foreign))('no file holds %s', (what) => {
  const pattern = foreign[what]
  if (pattern === undefined) throw new Error('a pattern')
  const found = files
    .filter((file) => !/\.(wasm|png|jpe?g|npy|safetensors)$/.test(file))
    .flatMap((file) => {
      const match = pattern.exec(textOf(file))
      return match ? [`${file}: ${match[0]}`] : []
    })
  expect(found).toEqual([])
  expect(files.length).toBeGreaterThan(150)
})

test('the patterns find what they are for', () => {
  const samples = [
    ['/wor', 'k/main'],
    ['https://regis', 'try.example/x'],
    ['10.0.', '0.1'],
  ].map((parts) => parts.join(''))
  for (const [at, pattern] of Object.values(foreign).entries()) expect(samples[at]).toMatch(pattern)
})

test('the lock file says what to install and not from where', () => {
  const lock = JSON.parse(textOf('package-lock.json'))
  const entries = Object.entries<Record<string, unknown>>(lock.packages).filter(([path]) => path !== '')
  expect(entries.filter(([, entry]) => 'resolved' in entry).map(([path]) => path)).toEqual([])
  expect(entries.filter(([, entry]) => typeof entry['integrity'] !== 'string').map(([path]) => path)).toEqual([])
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json'))
  expect(lock.packages[''].dependencies).toEqual(dependencies)
  expect(lock.packages[''].devDependencies).toEqual(devDependencies)
  const atRunTime = entries.filter(([, { dev, optional, devOptional }]) => !dev && !optional && !devOptional)
  expect(atRunTime.filter(([, entry]) => entry['hasInstallScript'] === true).map(([path]) => path)).toEqual([])
})
