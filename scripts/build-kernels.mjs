// Compiles the kernels, all builds, and the resizing of pictures, unless the compiled files are newer than every source.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targets = ['baseline', 'relaxed', 'relaxed-6x8', 'relaxed-256']
const pixels = join(root, 'assembly', 'pixels-resize', 'asconfig.json')

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? sources(join(folder, entry.name)) : [join(folder, entry.name)]))
    .filter((path) => path.endsWith('.ts'))
    .sort()
}

/** Digest of everything that decides the bytes of the kernels. */
function sourceDigest() {
  const hash = createHash('sha256')
  const inputs = [
    ...sources(join(root, 'assembly')),
    join(root, 'asconfig.json'),
    pixels,
    fileURLToPath(import.meta.url),
  ]
  for (const path of inputs) hash.update(readFileSync(path))
  return hash.digest('hex')
}

function upToDate(digest) {
  try {
    for (const name of [...targets.map((target) => `kernels.${target}`), 'pixels']) {
      statSync(join(root, 'wasm', `${name}.wasm`))
    }
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

/** What one worker does: compiles one file. */
async function compile({ name, options }) {
  const asc = await import('assemblyscript/asc')
  const { error } = await asc.main([...options, '--baseDir', root], { stdout: process.stdout, stderr: process.stderr })
  if (error) throw new Error(`The kernels (${name}) do not compile: ${error.message}`)
}

/** Compiles all files at once, each in a worker: one takes ten seconds. */
async function compileAll() {
  const files = [
    ...targets.map((name) => ({ name, options: ['--config', join(root, 'asconfig.json'), '--target', name] })),
    { name: 'pixels', options: ['--config', pixels] },
  ]
  await Promise.all(
    files.map(
      (file) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: file })
          worker.on('error', reject)
          worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`ended with ${code}`))))
        }),
    ),
  )
  for (const target of targets) declareWithoutBrowserTypes(join(root, 'wasm', `kernels.${target}.d.ts`))
}

if (isMainThread) {
  const digest = sourceDigest()
  if (!upToDate(digest)) {
    mkdirSync(join(root, 'wasm'), { recursive: true })
    try {
      await compileAll()
      writeFileSync(join(root, 'wasm', 'source.sha256'), digest)
    } catch (error) {
      console.error(error.message)
      process.exitCode = 1
    }
  }
} else {
  await compile(workerData)
}
