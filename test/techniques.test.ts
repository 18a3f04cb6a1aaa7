// Every technique of the notes is there: a flag, a name of the library, a row in the documents, and tests that can fail.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { commands } from '../src/cli/commands/index.ts'
import { settingsOf } from '../src/cli/parse.ts'
import { flagName } from '../src/cli/settings.ts'
import { Misuse } from '../src/cli/values.ts'
import names from './technique-names.json' with { type: 'json' }
import stored from './techniques.json' with { type: 'json' }
import { type FoundTest, testsIn } from './tests-in.ts'

interface Technique {
  /** A command line without `regraft` and without what it works on. */
  readonly flag: string
  /** `train({ loss })`: an export of the library, and options of it. */
  readonly library: string
  /** Describes and title as they are written, joined by ` > `. */
  readonly tests: readonly { readonly file: string; readonly name: string }[]
  /** What makes its picture. */
  readonly program?: string
}

const root = join(import.meta.dirname, '..')
const techniques: Readonly<Record<string, Technique>> = stored
const all = Object.entries(techniques)
const read = (file: string) => readFileSync(join(root, file), 'utf8')

test('each technique of the notes has its entry, and nothing else has', () => {
  const numbers = Array.from({ length: 74 }, (_, index) => `S${String(index + 1).padStart(2, '0')}`)
  expect(Object.keys(names)).toEqual(numbers)
  expect(Object.keys(techniques)).toEqual(numbers)
})

test.each(all)('%s: the command takes the flag', (_, { flag }) => {
  const [name, ...words] = flag.split(' ')
  const command = commands.find((each) => each.name === name)
  if (!command) throw new Error(`there is no command '${name}'`)
  const settings = Object.entries(settingsOf(command)).flatMap(([key, setting]) => {
    if (setting.positional) return []
    if (setting.placeholder !== undefined) return [[flagName(key), setting] as const]
    return [[flagName(key), setting] as const, [`no-${flagName(key)}`, setting] as const]
  })
  const options = Object.fromEntries(
    settings.map(([key, { placeholder }]) => [
      key,
      { type: placeholder === undefined ? 'boolean' : 'string' } as const,
    ]),
  )
  // Throws for what is unknown, and for a value too many or too few.
  const { values } = parseArgs({ args: words, options, allowPositionals: false })
  for (const [key, setting] of settings)
    if (values[key] !== undefined) expect(setting.read(String(values[key])), key).not.toBeInstanceOf(Misuse)
})

describe('the library', () => {
  const known = optionsOfLibrary()

  test.each(all)('has what %s names', (_, { library }) => {
    const [, name = '', options] = /^(\w+)(?:\(\{ (\w+(?:, \w+)*) \}\))?$/.exec(library) ?? []
    const there = known.get(name)
    expect(there, `'${library}'`).toBeDefined()
    for (const option of options?.split(', ') ?? []) expect([...(there ?? [])], library).toContain(option)
  })
})

describe('the tests', () => {
  const found = new Map<string, readonly FoundTest[]>()
  const testsOf = (file: string) => {
    const tests = found.get(file) ?? testsIn(file, read(file))
    found.set(file, tests)
    return tests
  }

  test.each(all)('of %s are there, run everywhere and hold something', (_, { tests }) => {
    expect(tests.length).toBeGreaterThan(0)
    for (const { file, name } of tests) {
      expect(existsSync(join(root, file)), file).toBe(true)
      const named = testsOf(file).filter((each) => each.name === name)
      expect(named, `${file}: ${name}`).toMatchObject([{ conditional: false, asserts: true }])
    }
  })
})

test('docs/techniques.md says the same', () => {
  const rows = [...read('docs/techniques.md').matchAll(/^\| (S\d\d) \|(.*)\|$/gm)].map(([, id = '', rest = '']) => ({
    id,
    cells: rest.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|')),
  }))
  expect(rows.map(({ id }) => id)).toEqual(Object.keys(techniques))
  for (const { id, cells } of rows) {
    const technique = techniques[id]
    if (!technique) throw new Error(`no ${id}`)
    const [name, sentence = '', flag, library, when = '', proof] = cells
    const program = technique.program ? ` Picture: \`npx tsx ${technique.program}\`.` : ''
    expect(cells).toHaveLength(6)
    expect([name, flag, library]).toEqual([
      names[id as keyof typeof names],
      `\`${technique.flag}\``,
      `\`${technique.library}\``,
    ])
    expect(sentence.endsWith(`.${program}`), sentence).toBe(true)
    expect(sentence.includes('Picture: ')).toBe(technique.program !== undefined)
    expect(when, id).toMatch(/^[A-Z0-9a-z].*[.?]$/)
    const link = (file: string) => `[${file.slice('test/'.length)}](../${file})`
    expect(proof).toBe(technique.tests.map(({ file, name }) => `${link(file)}: ${name}`).join('; '))
  }
})

test('the programs that make pictures are there, and their tests prove the technique', () => {
  for (const [id, { program, tests }] of all) {
    if (program === undefined) continue
    expect(existsSync(join(root, program)), program).toBe(true)
    const own = program.replace(/\.ts$/, '.test.ts')
    expect(
      tests.map(({ file }) => file),
      id,
    ).toContain(own)
  }
})

/** The values that the library exports, each with the names of all options that a call of it takes. */
function optionsOfLibrary(): ReadonlyMap<string, ReadonlySet<string>> {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const entry = join(root, 'src', 'index.ts')
  const program = ts.createProgram([entry], options)
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(entry)
  const module = file && checker.getSymbolAtLocation(file)
  if (!module) throw new Error('the library exports nothing')
  const known = new Map<string, Set<string>>()
  for (const exported of checker.getExportsOfModule(module)) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    if (!(symbol.flags & ts.SymbolFlags.Value)) continue
    const taken = new Set<string>()
    for (const signature of checker.getTypeOfSymbol(symbol).getCallSignatures())
      for (const parameter of signature.getParameters()) {
        const type = checker.getTypeOfSymbol(parameter)
        for (const property of checker.getNonNullableType(type).getProperties()) taken.add(property.name)
      }
    known.set(exported.name, taken)
  }
  return known
}
