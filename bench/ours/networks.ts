import { readFileSync } from 'node:fs'
import { architectureNamed } from '../../src/architectures/index.ts'
import { openCheckpoint } from '../../src/formats/index.ts'
import { after } from '../../src/graph/edit.ts'
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { createUpdater } from '../../src/optim/updater.ts'
import { createParameters, type ParameterStore } from '../../src/runtime/parameters.ts'
import { createRunner } from '../../src/runtime/runner.ts'
import type { ForwardTask, NetworkTask, TrainingTask } from '../protocol.ts'
import { readFloats, type Work } from '../serve.ts'

/** The network that a task names. */
export function graphOfTask({ network, classes, size, mean, std }: Omit<NetworkTask, 'weights' | 'pictures'>): Graph {
  return architectureNamed(network).build({
    classes,
    height: size,
    width: size,
    mean: [mean, mean, mean],
    std: [std, std, std],
  })
}

/** Parameters of a graph, filled from a file that may hold more. */
async function parametersFrom(engine: Engine, graph: Graph, file: string): Promise<ParameterStore> {
  const store = createParameters(engine, graph)
  const checkpoint = await openCheckpoint(file)
  for (const { name } of store.parameters) store.write(name, await checkpoint.read(name))
  return store
}

export async function forwardWork(engine: Engine, task: ForwardTask): Promise<Work> {
  const graph = graphOfTask(task)
  const store = await parametersFrom(engine, graph, task.weights)
  const runner = createRunner(engine, graph, store, { images: task.images, input: 'bytes' })
  await runner.prepare()
  const pictures = readFileSync(task.pictures)
  const run = async () => {
    runner.writeBytes(pictures)
    await runner.run(task.images)
    return 1
  }
  return {
    run,
    async check() {
      await run()
      return { arrays: { output: runner.read(graph.output, task.images) } }
    },
    close: () => runner.close(),
  }
}

/** Rate of the steps whose time is taken: momentum, update and all, but the weights stay what they are. */
const IDLE_RATE = 1e-7

export async function trainingWork(engine: Engine, task: TrainingTask): Promise<Work> {
  const { images, classes, kept } = task
  const whole = graphOfTask(task)
  const graph = kept ? after(whole, kept.layer) : whole
  const store = await parametersFrom(engine, graph, task.weights)
  const layers = new Set(task.trainable)
  const trainable = new Set(
    graph.layers
      .filter(({ name }) => layers.has(name))
      .flatMap((layer) =>
        parametersOf(layer)
          .filter(({ kind }) => kind !== 'statistic')
          .map((spec) => parameterName(layer, spec)),
      ),
  )
  const runner = createRunner(engine, graph, store, {
    images,
    input: kept ? 'floats' : 'bytes',
    training: { trainable, batchStatistics: new Set(task.batchStatistics) },
  })
  const updater = createUpdater(engine, runner, store, {
    optimiser: 'momentum',
    settings: { momentum: 0.9 },
    weightDecay: 0,
    clipNorm: 0,
  })
  await runner.prepare()
  if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1)
  const pictures = kept ? undefined : readFileSync(task.pictures)
  const activations = kept ? readFloats(kept.file) : undefined
  const targets = new Float32Array(images * classes)
  for (let image = 0; image < images; image++) targets[image * classes + (image % classes)] = 1 / images
  const write = () => {
    if (pictures) runner.writeBytes(pictures)
    if (activations) runner.writeFloats(activations)
    runner.writeTargets(targets)
  }
  let steps = 0
  return {
    async run() {
      write()
      updater.setStep(IDLE_RATE, steps++)
      await runner.run(images, { more: [updater.program] })
      return 1
    },
    async check() {
      write()
      await runner.run(images)
      const loss = runner.losses(images).reduce((sum, value) => sum + value, 0)
      const { address, length } = runner.gradientRegion()
      const gradientNorm = Math.hypot(...blockNorms(engine.floats(address, length)))
      updater.setStep(task.rate, steps++)
      await engine.run([updater.program], images)
      const weights = joined([...trainable].sort().map((name) => store.read(name).data))
      return { arrays: { weights }, numbers: { loss, gradientNorm } }
    },
    close() {
      updater.close()
      runner.close()
    },
  }
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const array of arrays) {
    result.set(array, at)
    at += array.length
  }
  return result
}

/** The norms of stretches, few enough to be arguments. */
function blockNorms(values: Float32Array): number[] {
  const norms: number[] = []
  for (let at = 0; at < values.length; at += 65_536) {
    let squares = 0
    for (const value of values.subarray(at, at + 65_536)) squares += value * value
    norms.push(Math.sqrt(squares))
  }
  return norms
}
