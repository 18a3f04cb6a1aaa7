// Packs regraft, installs the package in an empty folder and uses it there as a stranger would.
//
//   node scripts/check-package.mjs            under Node 20, 22, 24 and 26 (from npm, kept in the system's temporary folder)
//   node scripts/check-package.mjs --quick    under the Node that runs it
//   --report FILE   writes what was found as JSON
//
// The last line says how many checks failed; the exit code is 1 when any did, 3 when npm could not reach a registry.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, report: { type: 'string' } } })
const wantedNodes = [20, 22, 24, 26]
const largestPackageBytes = 6e6
const defaultModel = 'regraft_resnet14.tiny_imagenet'
const stepTimeoutMs = 300_000

/** Every file of the package matches one of these. */
const allowed = [
  /^(package\.json|README\.md|CHANGELOG\.md|DEPENDENCIES\.md|LICENSE)$/,
  /^dist\/[\w/-]+\.(js|d\.ts)$/,
  /^dist\/cli\/regraft\.(cjs|d\.cts)$/,
  /^wasm\/(kernels\.(baseline|relaxed|relaxed-6x8|relaxed-256)|pixels)\.wasm$/,
  /^wasm\/kernels\.relaxed\.d\.ts$/,
  /^docs\/[\w-]+\.md$/,
  /^models\/README\.md$/,
  /^models\/[\w.-]+\/(README\.md|LICENSE|[\w-]+\.svg|[\w-]+\.json|[\w-]+\.safetensors)$/,
]
const required = [
  ...['package.json', 'README.md', 'CHANGELOG.md', 'DEPENDENCIES.md', 'LICENSE', 'models/README.md'],
  ...['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'dist/cli/regraft.cjs'],
  ...['wasm/kernels.baseline.wasm', 'wasm/kernels.relaxed.wasm', 'wasm/kernels.relaxed.d.ts', 'wasm/pixels.wasm'],
  ...['wasm/kernels.relaxed-6x8.wasm', 'wasm/kernels.relaxed-256.wasm'],
]

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const checks = []
const facts = {}

/** Runs one check and keeps going when it fails. `work` returns what is worth telling. */
async function check(node, name, work) {
  const startedAt = performance.now()
  let ok = true
  let detail = ''
  try {
    detail = (await work()) ?? ''
  } catch (error) {
    ok = false
    detail = error instanceof Error ? error.message : String(error)
  }
  checks.push({ node, name, ok, detail })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(
    `${ok ? 'ok    ' : 'FAILED'}  ${node.padEnd(9)}  ${name}  (${seconds} s)${detail === '' ? '' : `  ${detail}`}`,
  )
  return ok
}

function expect(condition, message) {
  if (!condition) throw new Error(message)
}

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** Runs a program. @returns stdout and stderr @throws Error with both when it does not exit with `code` */
function start(file, args, { cwd, env = {}, code = 0 } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { cwd, env: { ...process.env, NO_COLOR: '1', ...env }, timeout: stepTimeoutMs, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const got = error === null ? 0 : (error.code ?? error.signal)
        if (got === code) resolve({ stdout, stderr })
        else reject(new Error(`${[file, ...args].join(' ')} ended with ${got}, not ${code}:\n${stdout}\n${stderr}`))
      },
    )
    child.stdin.end()
  })
}

const npm = (args, cwd) => start('npm', args, { cwd })
const quietInstall = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']

/** The Nodes to use, each as version and binary. */
async function findNodes() {
  const current = { version: process.versions.node, binary: process.execPath }
  if (options.quick) return [current]
  const nodes = []
  for (const major of wantedNodes) {
    if (current.version.startsWith(`${major}.`)) {
      nodes.push(current)
      continue
    }
    const name = `node-${process.platform}-${process.arch}`
    const folder = join(tmpdir(), 'regraft-nodes', String(major))
    const binary = join(folder, 'node_modules', name, 'bin', 'node')
    if (!existsSync(binary)) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'package.json'), '{ "private": true }')
      await npm([...quietInstall, `${name}@${major}`], folder)
    }
    chmodSync(binary, 0o755)
    const { stdout } = await start(binary, ['-p', 'process.versions.node'])
    nodes.push({ version: stdout.trim(), binary })
  }
  return nodes
}

/** 2 classes of 12 pictures: slanted stripes and a disc, in colours and places that differ. */
async function drawPictures(folder) {
  const size = 48
  for (const [label, shape] of ['disc', 'stripes'].entries()) {
    mkdirSync(join(folder, shape), { recursive: true })
    for (let index = 0; index < 12; index++) {
      const pixels = Buffer.alloc(size * size * 3)
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const inside = label === 0 ? Math.hypot(x - 16 - index, y - 28 + index) < 14 : (x + y + index) % 12 < 6
          const colour = inside ? [220 - 9 * index, 60 + 12 * index, 90] : [30 + 5 * index, 40, 150 - 8 * index]
          pixels.set(colour, (y * size + x) * 3)
        }
      }
      const png = sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
      await png.png().toFile(join(folder, shape, `${String(index).padStart(2, '0')}.png`))
    }
  }
}

/** @returns the name of the tarball */
async function pack(folder) {
  const { stdout } = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)
  const [packed] = Object.values(JSON.parse(stdout))
  const files = packed.files.map(({ path }) => path)
  facts.package = { bytes: packed.size, unpackedBytes: packed.unpackedSize, files }
  await check('package', 'holds what it should and nothing else', () => {
    const foreign = files.filter((file) => !allowed.some((pattern) => pattern.test(file)))
    const missing = required.filter((file) => !files.includes(file))
    expect(foreign.length === 0, `does not belong there: ${foreign.join(', ')}`)
    expect(missing.length === 0, `missing: ${missing.join(', ')}`)
    return `${files.length} files`
  })
  await check('package', `is below ${largestPackageBytes / 1e6} MB`, () => {
    expect(packed.size < largestPackageBytes, `${packed.size} bytes`)
    return `${(packed.size / 1e6).toFixed(2)} MB packed, ${(packed.unpackedSize / 1e6).toFixed(2)} MB unpacked`
  })
  return join(folder, packed.filename)
}

const consumer = `import { createEngine, loadModel, predict, type Prediction, train, type TrainResult } from 'regraft'
const engine = createEngine({ threads: 1 })
const result: TrainResult = await train({ engine, data: 'pictures', out: 'run', mode: 'finetune', epochs: 1 })
for await (const row of predict(result.out, ['pictures'], { engine })) console.log((row satisfies Prediction).label)
console.log((await loadModel('run')).model.labels.length, engine.build.length)
await engine.close()
`

const esm = `import { createEngine, loadModel, predict, version } from 'regraft'
const engine = createEngine({ threads: 2 })
const { model } = await loadModel(process.argv[2])
let rows = 0
for await (const row of predict(process.argv[2], ['pictures'], { engine })) if (row.error === null) rows++
console.log(JSON.stringify({ version, rows, labels: model.labels, build: engine.build }))
await engine.close()
`

const commonJs = `const { createEngine, embed, RegraftError, version } = require('regraft')
const { name } = require('regraft/package.json')
const engine = createEngine({ threads: 1 })
embed(process.argv[2], ['pictures'], { engine, out: process.argv[3] })
  .then(({ rows }) => embed('no-such-model', ['pictures'], { engine, out: 'nowhere' }).then(
    () => process.exit(9),
    (error) => console.log(JSON.stringify({ name, version, rows, ours: error instanceof RegraftError, code: error.code })),
  ))
  .then(() => engine.close())
`

/** Makes the cores 20, and says how many threads there are when libuv's pool is in use: all of them start with its first job. */
const poolCounter = `const { readdirSync, stat } = require('node:fs')
require('node:os').availableParallelism = () => 20
process.once('beforeExit', () => stat('.', () => console.log(readdirSync('/proc/self/task').length)))
`

/** The types as a strict consumer without the browser's library sees them. */
async function checkTypes(folder) {
  writeFileSync(join(folder, 'consumer.mts'), consumer)
  const config = {
    compilerOptions: {
      ...{ target: 'es2022', lib: ['es2023'], module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false },
      ...{ exactOptionalPropertyTypes: true, types: ['node'], typeRoots: [join(root, 'node_modules', '@types')] },
    },
    files: ['consumer.mts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  await start(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder])
}

/** The blocks of code of the README in one language, in their order. */
function readmeBlocks(language) {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code)
}

async function checkUnder({ version, binary }, index, folder) {
  const env = { PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` }
  // The installed link, so that its first line finds this Node.
  const regraft = (args, code = 0, more = {}) =>
    start(join(folder, 'node_modules', '.bin', 'regraft'), args, { cwd: folder, env: { ...env, ...more }, code })
  const script = (file, args = []) => start(binary, [file, ...args], { cwd: folder })
  const node = `Node ${version.split('.')[0]}`
  const run = (name) => `run-${version}-${name}`
  const modelFolder = join(folder, 'node_modules', 'regraft', 'models', defaultModel)
  const shipped = facts.package.files.some((file) => file.startsWith(`models/${defaultModel}/`))
  const digests = {}

  await check(node, '--version and --help', async () => {
    const { stdout } = await regraft(['--version'])
    expect(stdout === `regraft ${manifest.version}\n`, `says ${stdout}`)
    const help = await regraft(['--help'])
    for (const name of ['train', 'predict', 'embed', 'eval', 'demo', 'doctor'])
      expect(new RegExp(`^  ${name} `, 'm').test(help.stdout), `--help lacks ${name}:\n${help.stdout}`)
    return version
  })
  if (process.platform === 'linux') {
    await check(node, 'decodes with all cores', async () => {
      writeFileSync(join(folder, 'pool-counter.cjs'), poolCounter)
      const threads = async (poolSize) => {
        const counted = { NODE_OPTIONS: '--require ./pool-counter.cjs', UV_THREADPOOL_SIZE: poolSize }
        return Number((await regraft(['--version'], 0, counted)).stdout.trim().split('\n').at(-1))
      }
      const [ofItself, withFive] = [await threads(undefined), await threads('5')]
      expect(ofItself - withFive === 21 - 5, `${ofItself} threads with 20 cores, ${withFive} with a pool of 5`)
    })
  }
  await check(node, 'doctor', async () => {
    const standIn = !shipped && !existsSync(modelFolder)
    const { stdout, stderr } = await regraft(['doctor', '--json'], standIn ? 1 : 0)
    const failed = JSON.parse(stdout).checks.filter(({ ok, name }) => !ok && !(standIn && name === 'default model'))
    expect(failed.length === 0, failed.map(({ name, detail }) => `${name}: ${detail}`).join('; '))
    expect(stderr === '', `stderr: ${stderr}`)
    const kernels = JSON.parse(stdout).checks.find(({ name }) => name === 'kernels').detail
    expect(kernels.startsWith('relaxed build'), kernels)
    return `${kernels}${standIn ? '; no default model in the package' : ''}`
  })
  await check(node, 'doctor of 256-bit vectors', async () => {
    const { stdout, stderr } = await regraft(
      ['doctor', '--json', '--simd', '256'],
      shipped || existsSync(modelFolder) ? 0 : 1,
    )
    expect(stderr === '', `stderr: ${stderr}`)
    const kernels = JSON.parse(stdout).checks.find(({ name }) => name === 'kernels').detail
    const canFuse = process.arch === 'x64' && Number(version.split('.')[0]) >= 24
    expect(kernels.startsWith('relaxed build'), kernels)
    expect(canFuse || kernels.includes('128-bit vectors: '), kernels)
    return /\d+-bit vectors: .*/.exec(kernels)?.[0]
  })
  for (const build of ['relaxed', 'baseline', '256']) {
    await check(node, `train, ${build} kernels`, async () => {
      const fresh = ['--model', 'mobilenetv1_025', '--no-pretrained', '--mode', 'finetune', '--unfreeze', 'all']
      const size = ['--epochs', '1', '--img-size', '32', '--batch-size', '8']
      // As many workers as this Node's place in the list, because the bits must not depend on it.
      const machine = ['--simd', build, '--threads', String(index + 1)]
      const { stdout } = await regraft([
        'train',
        'pictures',
        ...fresh,
        ...size,
        ...machine,
        '--out',
        run(build),
        '--json',
      ])
      expect(JSON.parse(stdout).classes.join() === 'disc,stripes', stdout)
      digests[build] = sha256(join(folder, run(build), 'best', 'model.safetensors'))
      return `sha256 ${digests[build]}`
    })
  }
  const model = join(folder, run('relaxed'))
  await check(node, 'train, a head solved on features', async () => {
    const settings = ['--mode', 'features', '--model', model, '--threads', String(index + 1)]
    await regraft(['train', 'pictures', ...settings, '--out', run('features')])
    digests.features = sha256(join(folder, run('features'), 'best', 'model.safetensors'))
    return `sha256 ${digests.features}`
  })
  await check(node, 'predict, embed and eval with the run', async () => {
    const { stdout } = await regraft(['predict', model, 'pictures'])
    const lines = stdout.trim().split('\n')
    expect(lines[0] === 'path,label,score,error' && lines.length === 25, stdout)
    await regraft(['embed', 'pictures', '--model', model, '--out', `vectors-${version}`])
    const rows =
      readFileSync(join(folder, `vectors-${version}`, 'index.csv'), 'utf8')
        .trim()
        .split('\n').length - 1
    expect(rows === 24, `${rows} rows of vectors`)
    await regraft(['eval', model, 'pictures', '--json'])
  })
  await check(node, 'import from a module', async () => {
    writeFileSync(join(folder, 'module.mjs'), esm)
    const { stdout, stderr } = await script('module.mjs', [model])
    const { rows, labels } = JSON.parse(stdout)
    expect(rows === 24 && labels.length === 2, stdout)
    expect(stderr === '', `stderr: ${stderr}`)
    return stdout.trim()
  })
  await check(node, 'require from CommonJS', async () => {
    writeFileSync(join(folder, 'common.cjs'), commonJs)
    const { stdout, stderr } = await script('common.cjs', [model, `vectors-${version}-cjs`])
    const { rows, ours, code } = JSON.parse(stdout)
    expect(rows === 24 && ours === true && code === 'weights', stdout)
    expect(stderr === '', `stderr: ${stderr}`)
  })
  if (!shipped && !existsSync(modelFolder) && existsSync(join(model, 'best'))) {
    console.log('        the package has no default model: the run takes its place for the examples of the README')
    cpSync(join(model, 'best'), modelFolder, { recursive: true })
  }
  for (const [at, code] of readmeBlocks('js').entries()) {
    await check(node, `example ${at + 1} of the README`, async () => {
      // The example speaks of flowers in whatever folder it is started.
      const stage = join(folder, `readme-${version}-${at}`)
      cpSync(join(folder, 'pictures'), join(stage, 'flowers'), { recursive: true })
      writeFileSync(join(stage, 'example.mjs'), code)
      const { stdout } = await start(binary, ['example.mjs'], { cwd: stage })
      expect(stdout.trim() !== '', 'it says nothing')
      return stdout.trim().split('\n').at(-1)
    })
  }
  return digests
}

const folder = mkdtempSync(join(tmpdir(), 'regraft-package-'))
try {
  await npm(['run', 'build'], root)
  const tarball = await pack(folder)
  const home = join(folder, 'home')
  mkdirSync(home)
  writeFileSync(join(home, 'package.json'), '{ "private": true }')
  await npm([...quietInstall, tarball], home)
  await check('package', 'npx finds the command', async () => {
    const { stdout } = await start('npx', ['--no-install', 'regraft', '--version'], { cwd: home })
    expect(stdout === `regraft ${manifest.version}\n`, `says ${stdout}`)
  })
  await check('package', 'types resolve without the browser library', () => checkTypes(home))
  await drawPictures(join(home, 'pictures'))

  const digests = {}
  for (const [index, node] of (await findNodes()).entries()) digests[node.version] = await checkUnder(node, index, home)
  facts.digests = digests
  for (const training of ['relaxed', 'baseline', 'features']) {
    await check('all Nodes', `the same bits, ${training}`, () => {
      // Wide registers are to change nothing.
      const alike = training === 'relaxed' ? ['relaxed', '256'] : [training]
      const found = new Set(Object.values(digests).flatMap((of) => alike.map((one) => of[one])))
      expect(found.size === 1 && !found.has(undefined), JSON.stringify(digests, null, 2))
      return `${Object.keys(digests).length} of them`
    })
  }
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  console.log(message)
  if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED|ENETUNREACH/.test(message)) throw error
  console.log('npm could not reach its registry, so nothing could be installed.')
  process.exitCode = 3
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (options.report !== undefined) writeFileSync(options.report, JSON.stringify({ ...facts, checks }, null, 2))
const failures = checks.filter(({ ok }) => !ok).length
console.log(`${checks.length} checks, ${failures} failed`)
if (failures > 0) process.exitCode = 1
