// What all contestants work on, written to files once: pictures, weights, matrices, and activations kept from an earlier pass.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors } from '../src/formats/write-safetensors.ts'
import { upTo } from '../src/graph/edit.ts'
import { selectLayers } from '../src/graph/freeze.ts'
import { type Graph, layerNamed, parametersOf } from '../src/graph/graph.ts'
import { createEngine } from '../src/kernels/engine.ts'
import { initialWeights } from '../src/model/initialise.ts'
import { randomStream } from '../src/random.ts'
import { createParameters } from '../src/runtime/parameters.ts'
import { createRunner } from '../src/runtime/runner.ts'
import type { HostTensor } from '../src/tensor/host-tensor.ts'
import { graphOfTask } from './ours/networks.ts'
import type { ForwardTask, NetworkTask, TrainingTask } from './protocol.ts'

export const CLASSES = 1000
const PIXELS = { mean: 0.5, std: 0.5 }
/** A step of this rate moves all weights together by about 2 %, so that it shows. */
const RATE = 0.2

/** Which layers train: all; the last three blocks, what follows them and the head; the head alone. */
export type Part = 'all' | 'last:3' | 'head'

export interface Workload {
  /** Uniform between -1 and 1. */
  noise(name: string, length: number): string
  forward(network: string, size: number, images: number): Promise<ForwardTask>
  /** @param kept  whether the step starts with activations kept in front of the part that trains */
  training(network: string, size: number, images: number, part: Part, kept: boolean): Promise<TrainingTask>
}

/** @param folder  where the files go; they are written when they are first asked for */
export function createWorkload(folder: string): Workload {
  mkdirSync(folder, { recursive: true })
  const made = new Map<string, Promise<string>>()
  const once = (name: string, write: (file: string) => Promise<void> | void): Promise<string> => {
    const known = made.get(name)
    if (known) return known
    const file = join(folder, name)
    const writing = Promise.resolve(write(file)).then(() => file)
    made.set(name, writing)
    return writing
  }

  const pictures = (size: number, images: number) =>
    once(`pictures-${size}-${images}.bin`, (file) => writeFileSync(file, noisyPictures(size, images)))

  const weights = (network: string, graph: Graph) =>
    once(`${network}.safetensors`, async (file) => {
      const tensors = await weightsOf(graph)
      await writeSafetensors(
        file,
        [...tensors].map(([name, { shape, data }]) => ({ name, dtype: 'F32' as const, shape, data })),
      )
    })

  const networkTask = async (network: string, size: number, images: number): Promise<[Graph, NetworkTask]> => {
    const facts = { network, classes: CLASSES, size, images, ...PIXELS }
    const graph = graphOfTask(facts)
    return [graph, { ...facts, weights: await weights(network, graph), pictures: await pictures(size, images) }]
  }

  const keptBelow = async (graph: Graph, task: NetworkTask, trainable: ReadonlySet<string>) => {
    const layer = frontierOf(graph, trainable)
    const file = await once(`kept-${task.network}-${task.size}-${task.images}-${layer}.f32`, async (target) =>
      writeFileSync(target, await activations(graph, task, layer)),
    )
    return { layer, shape: layerNamed(graph, layer).shape, file }
  }

  return {
    noise(name, length) {
      const file = join(folder, `${name}-${length}.f32`)
      if (!made.has(file)) {
        made.set(file, Promise.resolve(file))
        writeFileSync(file, noise(name, length))
      }
      return file
    },
    async forward(network, size, images) {
      const [, task] = await networkTask(network, size, images)
      return { kind: 'forward', ...task }
    },
    async training(network, size, images, part, kept) {
      const [graph, task] = await networkTask(network, size, images)
      const trainable = selectLayers(graph, part)
      const norms = graph.layers.filter(({ op, name }) => op === 'batchNorm' && trainable.has(name))
      return {
        kind: 'training',
        ...task,
        trainable: [...trainable].filter((name) => parametersOf(layerNamed(graph, name)).length > 0),
        batchStatistics: norms.map(({ name }) => name),
        kept: kept ? await keptBelow(graph, task, trainable) : null,
        rate: RATE,
      }
    },
  }
}

/** Long noise repeats itself after this many values, a prime. */
const PERIOD = 1_000_003

function noise(purpose: string, length: number): Float32Array {
  const random = randomStream({ seed: 1, purpose: `bench: ${purpose}` })
  const period = Float32Array.from({ length: Math.min(length, PERIOD) }, () => 2 * random.uniform() - 1)
  const values = new Float32Array(length)
  for (let at = 0; at < length; at += PERIOD) values.set(period.subarray(0, length - at), at)
  return values
}

/** Pixels at random. */
function noisyPictures(size: number, images: number): Uint8Array {
  const random = randomStream({ seed: 1, purpose: 'bench: pictures' })
  return Uint8Array.from({ length: images * size * size * 3 }, () => random.integer(256))
}

/** Weights at random, with batch norms that are not the identity, as in a trained network. */
async function weightsOf(graph: Graph): Promise<Map<string, HostTensor>> {
  const tensors = await initialWeights(graph, 1)
  for (const layer of graph.layers) {
    if (layer.op !== 'batchNorm') continue
    for (const [name, middle, width] of [
      ['weight', 1, 0.2],
      ['bias', 0, 0.1],
      ['running_mean', 0, 0.1],
      ['running_var', 1, 0.3],
    ] as const) {
      const full = `${layer.name}.${name}`
      const tensor = tensors.get(full)
      if (!tensor) throw new Error(`a batch norm has '${full}'`)
      tensors.set(full, { ...tensor, data: noise(full, tensor.data.length).map((value) => middle + width * value) })
    }
  }
  return tensors
}

/** The last layer in front of those that train. */
function frontierOf(graph: Graph, trainable: ReadonlySet<string>): string {
  const frontier = graph.layers[graph.layers.findIndex(({ name }) => trainable.has(name)) - 1]
  if (!frontier) throw new Error('every layer trains: there is nothing to keep')
  return frontier.name
}

/** Output of a layer in inference. */
async function activations(graph: Graph, task: NetworkTask, layer: string): Promise<Float32Array> {
  const engine = createEngine({ allowV8Flags: true })
  const lower = upTo(graph, layer)
  const store = createParameters(engine, lower)
  const tensors = await weightsOf(graph)
  for (const { name } of store.parameters) {
    const tensor = tensors.get(name)
    if (tensor) store.write(name, tensor)
  }
  const runner = createRunner(engine, lower, store, { images: task.images, input: 'bytes' })
  await runner.prepare()
  runner.writeBytes(noisyPictures(task.size, task.images))
  await runner.run(task.images)
  const values = runner.read(layer, task.images)
  await engine.close()
  return values
}
