// Speed of whole networks as a share of what the registers allow, measured in the same run. Equality comes first: what is timed is
// compared with the other build of the kernels and with another number of threads.
//   npm run bench -- [--only PATTERN] [--json FILE] [--repeats N]
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { architectureNamed } from '../src/architectures/index.ts'
import { costOf } from '../src/graph/cost.ts'
import { type Graph, parameterName, parametersOf } from '../src/graph/graph.ts'
import { createEngine, type Engine } from '../src/kernels/engine.ts'
import { relaxedAvailable } from '../src/kernels/load.ts'
import { initialWeights } from '../src/model/initialise.ts'
import { createUpdater } from '../src/optim/updater.ts'
import { createParameters, type ParameterStore } from '../src/runtime/parameters.ts'
import { createRunner } from '../src/runtime/runner.ts'
import { goldenPictures } from '../src/transfer/save-best.ts'

const { values } = parseArgs({
  options: { only: { type: 'string' }, json: { type: 'string' }, repeats: { type: 'string', default: '9' } },
})
const repeats = Number(values.repeats)
const SIZE = 224
const CLASSES = 1000

interface Line {
  readonly name: string
  readonly network: string
  readonly images: number
  readonly threads: number
  readonly training: boolean
}

const lines: readonly Line[] = [
  { name: 'forward mobilenetv2_100 batch 16', network: 'mobilenetv2_100', images: 16, threads: 1, training: false },
  { name: 'train-all mobilenetv2_100 batch 16', network: 'mobilenetv2_100', images: 16, threads: 1, training: true },
  { name: 'forward mobilenetv2_100 batch 1', network: 'mobilenetv2_100', images: 1, threads: 1, training: false },
  { name: 'forward mobilenetv1_100 batch 16', network: 'mobilenetv1_100', images: 16, threads: 1, training: false },
  { name: 'forward resnet18 batch 8', network: 'resnet18', images: 8, threads: 1, training: false },
  {
    name: 'forward mobilenetv2_100 batch 16, 2 threads',
    network: 'mobilenetv2_100',
    images: 16,
    threads: 2,
    training: false,
  },
  {
    name: 'train-all mobilenetv2_100 batch 16, 2 threads',
    network: 'mobilenetv2_100',
    images: 16,
    threads: 2,
    training: true,
  },
]

const simd = relaxedAvailable(true) ? 'relaxed' : 'baseline'
const results: Record<string, unknown>[] = []

console.log(
  `regraft bench: Node ${process.versions.node}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${simd} build, ${repeats} repeats, medians (fastest … slowest)`,
)
for (const line of lines) {
  if (values.only !== undefined && !line.name.includes(values.only)) continue
  await proveEqual(line)
  await measure(line)
}
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ node: process.versions.node, cpu: cpus()[0]?.model, build: simd, results }, null, 2)}\n`,
  )
}

async function network(engine: Engine, line: Line): Promise<{ graph: Graph; store: ParameterStore }> {
  const half = [0.5, 0.5, 0.5] as const
  const graph = architectureNamed(line.network).build({
    classes: CLASSES,
    height: SIZE,
    width: SIZE,
    mean: half,
    std: half,
  })
  const store = createParameters(engine, graph)
  for (const [name, tensor] of await initialWeights(graph, 1)) store.write(name, tensor)
  return { graph, store }
}

/** The same network on another build and another number of threads must say the same. */
async function proveEqual(line: Line): Promise<void> {
  const count = Math.min(2, line.images)
  const outputs: Float32Array[] = []
  for (const [build, threads] of [
    [simd, line.threads],
    [simd, line.threads + 1],
    ['baseline', 1],
  ] as const) {
    const engine = createEngine({ simd: build, threads, allowV8Flags: true })
    const { graph, store } = await network(engine, line)
    const runner = createRunner(engine, graph, store, { images: count, input: 'bytes' })
    await runner.prepare()
    runner.writeBytes(goldenPictures(count, SIZE, SIZE))
    await runner.run(count)
    outputs.push(runner.read(graph.output, count))
    await engine.close()
  }
  const [fast, threaded, baseline] = outputs
  if (!fast || !threaded || !baseline) throw new Error('three runs give three outputs')
  const size = Math.max(...fast.map(Math.abs))
  if (fast.some((value, index) => value !== threaded[index]))
    throw new Error(`${line.name}: the bits depend on the number of threads`)
  const worst = Math.max(...fast.map((value, index) => Math.abs(value - (baseline[index] ?? Number.NaN)))) / size
  if (!(worst < 1e-4)) throw new Error(`${line.name}: the builds differ by ${worst} of the largest output`)
}

async function measure(line: Line): Promise<void> {
  const engine = createEngine({ simd, threads: line.threads, allowV8Flags: true })
  const { graph, store } = await network(engine, line)
  const { multiplyAdds } = costOf(graph)
  const trainable = new Set(
    graph.layers.flatMap((layer) =>
      parametersOf(layer)
        .filter(({ kind }) => kind !== 'statistic')
        .map((spec) => parameterName(layer, spec)),
    ),
  )
  const batchStatistics = new Set(graph.layers.filter(({ op }) => op === 'batchNorm').map(({ name }) => name))
  const runner = createRunner(engine, graph, store, {
    images: line.images,
    input: 'bytes',
    ...(line.training ? { training: { trainable, batchStatistics } } : {}),
  })
  const updater = line.training
    ? createUpdater(engine, runner, store, { optimiser: 'momentum', weightDecay: 1e-4, clipNorm: 0 })
    : undefined
  await runner.prepare()
  runner.writeBytes(goldenPictures(line.images, SIZE, SIZE))
  if (line.training) {
    const targets = new Float32Array(line.images * CLASSES)
    for (let row = 0; row < line.images; row++) targets[row * CLASSES + row] = 1 / line.images
    runner.writeTargets(targets)
  }
  const step = async (): Promise<void> => {
    updater?.setStep(1e-6, 1)
    await runner.run(line.images, { more: updater ? [updater.program] : [] })
  }
  const iterations = 1_000_000
  const registers = engine.arena.allocate(4096, 'The register loop')
  const loop = engine.register([{ kernel: 'registerPeak', args: [registers, iterations], units: 1, grain: 1 }])
  const peakLoop = () => engine.run([loop], 1)

  for (let warm = 0; warm < 3; warm++) {
    await step()
    await peakLoop()
  }
  const steps: number[] = []
  const loops: number[] = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    loops.push(await milliseconds(peakLoop))
    steps.push(await milliseconds(step))
  }
  // A step of training costs three forward passes: the output, the gradient of the input, the gradient of the weights.
  const flop = 2 * multiplyAdds * line.images * (line.training ? 3 : 1)
  const peaks = loops.map((ms) => (2 * 4 * 12 * iterations) / ms / 1e6)
  const rates = steps.map((ms) => flop / ms / 1e6)
  const shares = rates.map((rate, index) => rate / (peaks[index] ?? Number.NaN) / line.threads)
  const images = steps.map((ms) => (line.images / ms) * 1000)
  console.log(
    `${line.name.padEnd(46)} ${spread(images, 1)} images/s  ${spread(rates, 1)} GFLOP/s  ${spread(
      shares.map((share) => share * 100),
      0,
    )} % of ${line.threads > 1 ? `${line.threads} x ` : ''}${median(peaks).toFixed(1)} GFLOP/s  ${(runner.bytes / 2 ** 20).toFixed(0)} MiB`,
  )
  results.push({
    ...line,
    imagesPerSecond: median(images),
    gflops: median(rates),
    peakGflops: median(peaks),
    share: median(shares),
    steps,
    loops,
  })
  await engine.close()
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function spread(numbers: readonly number[], digits: number): string {
  return `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)}…${Math.max(...numbers).toFixed(digits)})`
}
