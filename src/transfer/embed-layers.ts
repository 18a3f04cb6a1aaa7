// Which outputs of a network become vectors.
import { RegraftError } from '../errors.ts'
import { appendLayers } from '../graph/edit.ts'
import { type Graph, type Layer, layerNamed } from '../graph/graph.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import { channelsOf, pixelsOf } from '../ops/op.ts'

/** How a layer that gives a value for each place of the picture becomes one vector. */
export type Pooling = 'mean' | 'none'

/** An output that becomes a vector. */
export interface EmbeddedLayer {
  /** As it was asked for. */
  readonly name: string
  /** The layer of the graph to read. */
  readonly layer: string
  readonly columns: number
  /** Places and channels, where the values of all places are wanted: they are read channels last and written channels first. */
  readonly places: { readonly pixels: number; readonly channels: number } | undefined
}

export interface EmbeddedLayers {
  /** With what pools the outputs. */
  readonly graph: Graph
  readonly layers: readonly EmbeddedLayer[]
}

/**
 * Finds layers, blocks or stages by name; of a block or a stage its last layer is meant.
 * @throws RegraftError 'usage' for a name that there is not, with the nearest one
 */
export function embeddedLayers(graph: Graph, names: readonly string[], pooling: Pooling): EmbeddedLayers {
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new RegraftError('usage', `--layer: '${inertName(twice, 200)}' is named twice.`)
  const layers: EmbeddedLayer[] = []
  let extended = graph
  for (const name of names) {
    const layer = find(graph, name)
    const pixels = layer.shape.length === 3 ? pixelsOf(layer.shape) : 1
    const channels = channelsOf(layer.shape)
    if (pixels > 1 && pooling === 'mean') {
      const pooled = `${layer.name}.pooled`
      extended = appendLayers(extended, (add) => add('globalAveragePool', pooled, {}, [layer.name]))
      layers.push({ name, layer: pooled, columns: channels, places: undefined })
    } else {
      const places = pixels > 1 ? { pixels, channels } : undefined
      layers.push({ name, layer: layer.name, columns: pixels * channels, places })
    }
  }
  const needed = new Set(layers.map(({ layer }) => layer))
  for (const layer of extended.layers.toReversed()) {
    if (needed.has(layer.name)) for (const input of layer.inputs) needed.add(input)
  }
  const computed = extended.layers.filter(({ name }) => needed.has(name))
  const output = computed.findLast(({ name }) => layers.some(({ layer }) => layer === name))
  if (output === undefined) throw new RegraftError('usage', '--layer: no layer is named.')
  return { graph: { layers: computed, output: output.name, features: graph.features }, layers }
}

function find(graph: Graph, name: string): Layer {
  const found =
    graph.layers.find((layer) => layer.name === name) ??
    graph.layers.findLast((layer) => layer.block === name) ??
    graph.layers.findLast((layer) => layer.stage === name)
  if (found !== undefined) return layerNamed(graph, found.name)
  const stages = [...new Set(graph.layers.map(({ stage }) => stage))]
  const known = [
    ...stages,
    ...graph.layers.flatMap(({ name: layer, block }) => (block === undefined ? [layer] : [block, layer])),
  ]
  const near = nearestName(name, known)
  throw new RegraftError(
    'usage',
    `--layer: there is no layer, block or stage '${inertName(name, 200)}'.${near === undefined ? '' : ` Did you mean '${near}'?`}\n` +
      `The stages are ${stages.join(', ')}.`,
  )
}

/**
 * A picture's values as its vector.
 * @param values  of one picture, channels last
 */
export function vectorOf(values: Float32Array, { places }: EmbeddedLayer): Float32Array {
  if (places === undefined) return values
  const { pixels, channels } = places
  const turned = new Float32Array(values.length)
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      turned[channel * pixels + pixel] = values[pixel * channels + channel] ?? Number.NaN
    }
  }
  return turned
}
