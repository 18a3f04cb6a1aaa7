// Compiles the kernels, all builds, unless the compiled files are newer than every source.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targets = ['baseline', 'relaxed', 'relaxed-6x8', 'relaxed-256']

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? sources(join(folder, entry.name)) : [join(folder, entry.name)]))
    .filter((path) => path.endsWith('.ts'))
    .sort()
}

/** Digest of everything that decides the bytes of the kernels. */
function sourceDigest() {
  const hash = createHash('sha256')
  const inputs = [...sources(join(root, 'assembly')), join(root, 'asconfig.json'), fileURLToPath(import.meta.url)]
  for (const path of inputs) hash.update(readFileSync(path))
  return hash.digest('hex')
}

function upToDate(digest) {
  try {
    for (const target of targets) statSync(join(root, 'wasm', `kernels.${target}.wasm`))
    return readFileSync(join(root, 'wasm', 'source.sha256'), 'utf8') === digest
  } catch {
    return false
  }
}

/** The compiler's declarations name WebAssembly types, which only the browser's library knows; ours are used under Node alone. */
function declareWithoutBrowserTypes(path) {
  const declarations = readFileSync(path, 'utf8')
    .replaceAll('WebAssembly.Memory', '{ readonly buffer: SharedArrayBuffer }')
    .replaceAll('WebAssembly.Module', 'object')
  writeFileSync(path, declarations)
}

const digest = sourceDigest()
if (!upToDate(digest)) {
  mkdirSync(join(root, 'wasm'), { recursive: true })
  const asc = await import('assemblyscript/asc')
  for (const target of targets) {
    const { error } = await asc.main(['--config', join(root, 'asconfig.json'), '--target', target, '--baseDir', root], {
      stdout: process.stdout,
      stderr: process.stderr,
    })
    if (error) {
      console.error(`The kernels (${target}) do not compile: ${error.message}`)
      process.exit(1)
    }
    declareWithoutBrowserTypes(join(root, 'wasm', `kernels.${target}.d.ts`))
  }
  writeFileSync(join(root, 'wasm', 'source.sha256'), digest)
}
