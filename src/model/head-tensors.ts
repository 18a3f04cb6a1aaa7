// The tensors of a head that has no layers, which no graph asks for.
import { RegraftError } from '../errors.ts'
import { layerNamed } from '../graph/graph.ts'
import { allFinite } from '../tensor/all-finite.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { formatShape, shapesEqual } from '../tensor/shape.ts'
import { type NeighbourHead, neighbourTensors } from './head.ts'
import { graphOf, type Model } from './model.ts'

/** @throws RegraftError 'weights' naming a tensor that is missing, of the wrong shape or not finite */
export async function readNeighbours(
  model: Parameters<typeof graphOf>[0] & Pick<Model, 'labels'>,
  head: NeighbourHead,
  checkpoint: Checkpoint,
): Promise<Map<string, HostTensor>> {
  const graph = graphOf(model)
  const features = layerNamed(graph, graph.features).shape.at(-1) ?? 0
  const refuse = (problem: string) =>
    new RegraftError(
      'weights',
      `${checkpoint.source} does not fit the head of neighbours in regraft.json: ${problem}.\nCopy the whole folder.`,
      { file: checkpoint.source },
    )
  const available = new Set(checkpoint.names())
  const tensors = new Map<string, HostTensor>()
  for (const [name, shape] of neighbourTensors(head, features)) {
    if (!available.has(name)) throw refuse(`'${name}' is missing`)
    const found = checkpoint.shape(name)
    if (!shapesEqual(found, shape)) throw refuse(`'${name}' is ${formatShape(found)}, expected ${formatShape(shape)}`)
    const tensor = await checkpoint.read(name)
    if (!allFinite(tensor.data)) throw refuse(`'${name}' has values that are not finite numbers`)
    tensors.set(name, tensor)
  }
  const isClass = (value: number) => Number.isInteger(value) && value >= 0 && value < model.labels.length
  if (!tensors.get('head.labels')?.data.every(isClass)) throw refuse(`'head.labels' names classes that there are not`)
  return tensors
}
