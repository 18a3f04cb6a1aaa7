// regraft as it is published: JavaScript that runs without a loader.
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Builds it into a folder, types unchecked. @returns the file to start */
export function buildRegraft(folder: string): string {
  for (const name of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (/\.c?ts$/.test(name) && !name.endsWith('.d.ts')) buildFile(name, join(folder, 'dist'))
  }
  for (const name of ['node_modules', 'wasm', 'models', 'package.json'])
    symlinkSync(join(root, name), join(folder, name))
  return join(folder, 'dist', 'cli', 'regraft.cjs')
}

/** Builds one file of `src/`. @returns what it became */
export function buildFile(name: string, folder: string): string {
  const { outputText } = ts.transpileModule(readFileSync(join(root, 'src', name), 'utf8'), {
    fileName: name,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: name.endsWith('.cts') ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  })
  const file = join(folder, name.replace(/ts$/, 'js'))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, outputText)
  return file
}
