// The floors of the house: each folder of src imports only what lies below it, and nothing goes in circles.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const source = fileURLToPath(new URL('../src/', import.meta.url))

/** What each folder may import besides itself and the ground. */
const floors: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  files: ['tensor'],
  kernels: ['tensor', 'files'],
  hub: ['tensor', 'files'],
  vectors: ['tensor', 'files'],
  report: ['tensor', 'files'],
  ops: ['tensor', 'kernels'],
  data: ['tensor', 'files', 'kernels', 'vectors'],
  graph: ['tensor', 'ops'],
  // The padding rules of windows are the operators'.
  architectures: ['tensor', 'ops', 'graph'],
  formats: ['tensor', 'files', 'vectors', 'ops', 'graph'],
  runtime: ['tensor', 'kernels', 'ops', 'graph'],
  // It knows the losses by their names.
  reference: ['tensor', 'ops', 'graph', 'runtime'],
  // How outputs are read depends on the loss that a model was trained with.
  model: ['tensor', 'files', 'hub', 'ops', 'graph', 'architectures', 'formats', 'data', 'runtime'],
  optim: ['tensor', 'kernels', 'graph', 'runtime'],
  solve: ['tensor', 'kernels'],
  // A training that was interrupted is kept as safetensors.
  train: ['tensor', 'files', 'formats', 'kernels', 'graph', 'runtime', 'data', 'model', 'optim', 'solve', 'report'],
}
const folders = Object.keys(floors)
const all: Readonly<Record<string, readonly string[]>> = {
  ...floors,
  transfer: folders,
  cli: [...folders, 'transfer'],
}
/** Files beside the folders that everybody may import, and that import only each other. */
const ground = [
  'errors.ts',
  'random.ts',
  'exact-math.ts',
  'nearest-name.ts',
  'inert-text.ts',
  'breath.ts',
  'format-bytes.ts',
  'version.ts',
]
/** Files beside the folders that may import everything. */
const roof = ['index.ts']

const files = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
  .map((entry) => relative(source, join(entry.parentPath, entry.name)))
  .sort()

/** Files of src that a file imports, types included. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(readFileSync(join(source, file), 'utf8'))
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(source, join(source, dirname(file), name)))
    .filter((name) => !name.startsWith('..'))
}

const imports = new Map(files.map((file) => [file, importsOf(file)]))

function floorOf(file: string): string {
  const [first = '', ...rest] = file.split('/')
  return rest.length > 0 ? first : `ground: ${file}`
}

test('imports go down', () => {
  const wrong: string[] = []
  for (const [file, imported] of imports) {
    if (roof.includes(file)) continue
    const own = floorOf(file)
    for (const target of imported) {
      const other = floorOf(target)
      const allowed = ground.includes(target) || own === other || (all[own] ?? []).includes(other)
      if (!allowed) wrong.push(`${file} imports ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

test('every file has its floor', () => {
  const homeless = files.filter((file) => {
    const floor = floorOf(file)
    return !(floor in all) && !ground.includes(file) && !roof.includes(file)
  })
  expect(homeless).toEqual([])
  // The reading itself works: files are found, and their imports.
  expect(files.length).toBeGreaterThan(50)
  expect([...imports.values()].flat().length).toBeGreaterThan(100)
})

test('no file imports itself by way of others', () => {
  const finished = new Set<string>()
  const path: string[] = []
  const cycles: string[] = []
  const visit = (file: string): void => {
    const at = path.indexOf(file)
    if (at >= 0) cycles.push([...path.slice(at), file].join(' → '))
    if (at >= 0 || finished.has(file)) return
    path.push(file)
    for (const target of imports.get(file) ?? []) visit(target)
    path.pop()
    finished.add(file)
  }
  for (const file of files) visit(file)
  expect(cycles).toEqual([])
})

test('no folder or file is a drawer for odds and ends', () => {
  const words = files.flatMap((file) => file.replace(/\.ts$/, '').split('/'))
  expect(words.filter((word) => /^(utils?|helpers?|common|misc)$/.test(word))).toEqual([])
})
