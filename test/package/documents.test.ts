// What the documents say is compared with what is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { commands } from '../../src/cli/commands/index.ts'
import { trainSettings } from '../../src/cli/commands/train-settings.ts'
import { settingsOf } from '../../src/cli/parse.ts'
import { flagName } from '../../src/cli/settings.ts'
import { augmentationKinds, completeEntries } from '../../src/data/augmentations/index.ts'
import { exitCodes } from '../../src/errors.ts'
import { version } from '../../src/version.ts'
import { optionsInWords } from './augmentation-table.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/augmentation.md',
  'docs/techniques.md',
  'models/README.md',
  'src/README.md',
]
const known = commands.map(({ name }) => name)

test('the version in the sources is that of package.json and heads the changelog', () => {
  expect(version).toBe(manifest.version)
  expect(/^## (.*)$/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version)
})

test('the commands that the README calls exist', () => {
  const called = [...read('README.md').matchAll(/(?:npx|^|\$ |`)\s*regraft (?!<)([a-z][\w-]*)/gm)].map(
    ([, name]) => name ?? '',
  )
  expect(called.length).toBeGreaterThanOrEqual(8)
  expect([...new Set(called)].filter((name) => !known.includes(name) && name !== 'help')).toEqual([])
  expect(known.filter((name) => !called.includes(name))).toEqual([])
})

test.each(documents)('the options that %s names exist', (document) => {
  const flags = new Set(['help', 'help-all', 'version'])
  for (const command of commands) {
    for (const name of Object.keys(settingsOf(command))) flags.add(flagName(name)).add(`no-${flagName(name)}`)
  }
  // Of npm, find and the scripts.
  for (const foreign of ['ignore-scripts', 'include']) flags.add(foreign)
  for (const [, flag = ''] of read('bench/main.ts').matchAll(/^ {4}(\w+): \{ type: /gm)) flags.add(flag)
  const named = [...read(document).matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g)].map(([, flag]) => flag ?? '')
  expect([...new Set(named)].filter((flag) => !flags.has(flag))).toEqual([])
})

test('the defaults in the table of the README are those of train', () => {
  const [, options = ''] = read('README.md').split('## Options in short')
  const rows = [...options.matchAll(/^\| `--([a-z-]+)` \| ([^|]*) \|/gm)]
  const checked: string[] = []
  for (const [, flag, said = ''] of rows) {
    const [, setting] = Object.entries(trainSettings).find(([name]) => flagName(name) === flag) ?? []
    const fallback = setting?.fallback
    if (fallback === undefined) continue
    // The table leaves out what holds for fresh networks, and words longer than a word are its own.
    const short = fallback.split('; fresh')[0]?.split('; all')[0]?.split('; train')[0] ?? ''
    if (!/^(\S+(; finetune \S+)?)$/.test(short)) continue
    expect([flag, said.replaceAll('`', '')]).toEqual([flag, short])
    checked.push(flag ?? '')
  }
  expect(checked.length).toBeGreaterThan(7)
})

test('docs/augmentation.md has every augmentation with its options and defaults', () => {
  const rows = [...read('docs/augmentation.md').matchAll(/^\| `(\w+)` \| `(p: [^`]*)` \| (.*) \|$/gm)].map(
    ([, ...row]) => row,
  )
  expect(rows).toEqual(augmentationKinds.map((kind) => [kind.name, optionsInWords(kind), kind.help]))
})

test('the list in docs/augmentation.md can be read', () => {
  const [, yaml = ''] = /```yaml\n([^`]*)```/.exec(read('docs/augmentation.md')) ?? []
  expect(completeEntries(parse(yaml), 'docs/augmentation.md')).toHaveLength(6)
})

test('the README has every exit code', () => {
  const rows = [...read('README.md').matchAll(/^\| ([\d, ]+) \| [`a-z]/gm)].flatMap(([, codes = '']) =>
    codes.split(', ').map(Number),
  )
  expect(rows).toEqual([0, 1, ...new Set([...Object.values(exitCodes), 143])].sort((a, b) => a - b))
})

test('the scripts that the documents name exist', () => {
  for (const document of ['README.md', 'CONTRIBUTING.md']) {
    const named = [...read(document).matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? '')
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([])
  }
})

test('links between the documents lead somewhere', () => {
  for (const document of [...documents, 'assembly/README.md', 'CHANGELOG.md', 'DEPENDENCIES.md']) {
    const links = [...read(document).matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !existsSync(join(root, dirname(document), link)))).toEqual([])
  }
})

test('every dependency has its line in DEPENDENCIES.md, and nothing else has', () => {
  const rows = [...read('DEPENDENCIES.md').matchAll(/^\| (@?[a-z][\w/-]*) \d/gm)].map(([, name]) => name ?? '')
  expect(rows.sort()).toEqual([...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)].sort())
})

test('the floors in src/README.md are the folders of src and allow what these import', () => {
  const table = read('src', 'README.md').split(/^\| folder +\| what +\| may import +\|$/m)[1] ?? ''
  const rows = [...table.matchAll(/^\| `([a-z]+)` +\|[^|]*\|(.*)\|$/gm)].map(([, folder = '', imports = '']) => ({
    folder,
    imports: imports.trim(),
  }))
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(rows.map(({ folder }) => folder).sort()).toEqual(folders.map(({ name }) => name).sort())

  const forbidden: string[] = []
  for (const [at, { folder, imports }] of rows.entries()) {
    const above = rows.slice(0, at).map((row) => row.folder)
    const allowed = imports.startsWith('everything') ? above : imports.split(', ').filter((name) => name !== '')
    expect(allowed.filter((name) => !above.includes(name))).toEqual([])
    for (const target of importedFolders(folder)) {
      if (target !== folder && !allowed.includes(target)) forbidden.push(`${folder} imports ${target}`)
    }
  }
  expect(forbidden).toEqual([])
})

/** Folders of src that the files of a folder import from. */
function importedFolders(folder: string): ReadonlySet<string> {
  const targets = new Set<string>()
  for (const file of readdirSync(join(root, 'src', folder), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    for (const [, relative = ''] of read('src', folder, file).matchAll(/(?:from|import\() ?'(\.[^']*)'/g)) {
      const [first = '', ...rest] = normalize(join(folder, dirname(file), relative)).split('/')
      if (rest.length > 0 && first !== '..') targets.add(first)
    }
  }
  return targets
}
