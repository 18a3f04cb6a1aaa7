// What the peers read of a network: graph, weights and normalised pictures.
import { readFileSync } from 'node:fs'
import { openCheckpoint } from '../../src/formats/index.ts'
import { type Graph, parameterName, parametersOf } from '../../src/graph/graph.ts'
import type { HostTensor } from '../../src/tensor/host-tensor.ts'
import { graphOfTask } from '../ours/networks.ts'
import type { NetworkTask } from '../protocol.ts'

export interface Network {
  readonly graph: Graph
  readonly tensors: ReadonlyMap<string, HostTensor>
}

export async function readNetwork(task: NetworkTask): Promise<Network> {
  const graph = graphOfTask(task)
  const checkpoint = await openCheckpoint(task.weights)
  const tensors = new Map<string, HostTensor>()
  for (const layer of graph.layers) {
    for (const spec of parametersOf(layer)) {
      const name = parameterName(layer, spec)
      tensors.set(name, await checkpoint.read(name))
    }
  }
  return { graph, tensors }
}

/** f32[N, H, W, 3], or f32[N, 3, H, W]. */
export function normalisedPictures(task: NetworkTask, order: 'NHWC' | 'NCHW'): Float32Array {
  const bytes = readFileSync(task.pictures)
  const pixels = task.size * task.size
  const values = new Float32Array(bytes.length)
  for (const [at, byte] of bytes.entries()) {
    const value = (byte / 255 - task.mean) / task.std
    const [image, pixel, channel] = [Math.floor(at / 3 / pixels), Math.floor(at / 3) % pixels, at % 3]
    values[order === 'NHWC' ? at : (image * 3 + channel) * pixels + pixel] = value
  }
  return values
}

/** f32[N, H, W, C] as f32[N, C, H, W], or back with `pixels` and `channels` exchanged. */
export function transposed(values: Float32Array, images: number, pixels: number, channels: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let image = 0; image < images; image++) {
    const start = image * pixels * channels
    for (let pixel = 0; pixel < pixels; pixel++)
      for (let channel = 0; channel < channels; channel++)
        result[start + channel * pixels + pixel] = values[start + pixel * channels + channel] ?? Number.NaN
  }
  return result
}
