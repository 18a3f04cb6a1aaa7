// The mean of the training pictures as a part of the model: a layer behind the input, and a file of its own.
import { RegraftError } from '../errors.ts'
import { sha256 } from '../files/digest.ts'
import { insertAfter } from '../graph/edit.ts'
import type { Graph } from '../graph/graph.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'

/** What timm's networks have no place for stands beside them. */
export const meanImageFile = 'mean-image.safetensors'

const PARAMETER = 'mean'

/** The network with a layer that takes the mean image away. */
export function withMeanImage(graph: Graph): Graph {
  const entry = graph.layers.find(({ op }) => op === 'imageInput')
  if (entry === undefined)
    throw new RegraftError('weights', 'A mean image is for networks that take pictures, and this one takes none.')
  const taken = new Set(graph.layers.map(({ name }) => name))
  let name = 'mean_image'
  while (taken.has(name)) name = `input.${name}`
  return insertAfter(graph, entry.name, 'meanImage', name, {})
}

/** The parameters of `withMeanImage` and of no other layer, by their names. */
export function isMeanImage(graph: Graph): (parameter: string) => boolean {
  const entry = graph.layers.find(({ op }) => op === 'imageInput')
  const layer = graph.layers.find(({ op, inputs }) => op === 'meanImage' && inputs[0] === entry?.name)
  return (parameter) => layer !== undefined && parameter === `${layer.name}.${PARAMETER}`
}

/** What `Preprocessing` says of a mean image. @param image  [3, H, W] */
export function digestOfMeanImage({ data }: HostTensor): string {
  const bytes = new DataView(new ArrayBuffer(data.length * 4))
  for (const [at, value] of data.entries()) bytes.setFloat32(4 * at, value, true)
  return sha256(new Uint8Array(bytes.buffer))
}
