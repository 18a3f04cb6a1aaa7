// Freezing as a mark on layers, chosen by names, stages and blocks.
import { RegraftError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import type { Graph, Layer } from './graph.ts'

/** The names of the stages in order. */
export function stagesOf(graph: Graph): readonly string[] {
  return [...new Set(graph.layers.filter((layer) => layer.op !== 'imageInput').map((layer) => layer.stage))]
}

/** The names of the blocks in order, as the builder made them. */
export function blocksOf(graph: Graph): readonly string[] {
  return [...new Set(graph.layers.flatMap((layer) => (layer.block === undefined ? [] : [layer.block])))]
}

/** `blocks.5.*` as a test on layer names; `*` stands for anything. A pattern without a star also means everything below it. */
function nameTest(pattern: string): (layer: Layer) => boolean {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')
  const expression = new RegExp(`^${escaped}${pattern.includes('*') ? '' : '(\\..*)?'}$`)
  return (layer) => expression.test(layer.name)
}

/**
 * Which layers a choice means.
 * - `all`; `head`: the classifier; `last:N`: the last N blocks, what follows them, and the head
 * - `stage:NAME`: that stage; `stage:NAME+`: it and all later ones
 * - otherwise a pattern over layer names, `*` for anything; several with commas
 */
export function selectLayers(graph: Graph, choice: string): ReadonlySet<string> {
  const chosen = new Set<string>()
  for (const part of choice.split(',').map((text) => text.trim())) {
    const test = layerTest(graph, part)
    const before = chosen.size
    for (const layer of graph.layers) if (test(layer)) chosen.add(layer.name)
    if (chosen.size === before && part !== 'head' && !graph.layers.some(test)) throw unknownChoice(graph, part)
  }
  return chosen
}

function layerTest(graph: Graph, part: string): (layer: Layer) => boolean {
  if (part === 'all') return () => true
  if (part === 'head') return (layer) => layer.name === graph.classifier
  const last = /^last:(\d+)$/.exec(part)
  if (last) {
    const blocks = blocksOf(graph)
    const count = Number(last[1])
    if (count > blocks.length) {
      throw new RegraftError(
        'usage',
        `--unfreeze ${part}: the network has only ${blocks.length} blocks, from ${blocks[0]} to ${blocks.at(-1)}. Use last:${blocks.length} or all.`,
      )
    }
    const first = blocks[blocks.length - count]
    const from = count === 0 ? afterBlocks(graph) : graph.layers.findIndex((layer) => layer.block === first)
    const order = new Map(graph.layers.map((layer, at) => [layer.name, at]))
    return (layer) => (order.get(layer.name) ?? -1) >= from
  }
  const stage = /^stage:(.+?)(\+?)$/.exec(part)
  if (stage) {
    const stages = stagesOf(graph)
    const name = stage[1] ?? ''
    const from = stages.indexOf(name)
    if (from < 0) {
      const near = nearestName(name, stages)
      throw new RegraftError(
        'usage',
        `--unfreeze ${part}: there is no stage '${name}'.${near ? ` Did you mean '${near}'?` : ''} The stages are ${stages.join(', ')}.`,
      )
    }
    return (layer) => (stage[2] === '+' ? stages.indexOf(layer.stage) >= from : layer.stage === name)
  }
  return nameTest(part)
}

/** Index of the first layer after the last block. */
function afterBlocks(graph: Graph): number {
  let at = 0
  for (const [index, layer] of graph.layers.entries()) if (layer.block !== undefined) at = index + 1
  return at
}

function unknownChoice(graph: Graph, part: string): RegraftError {
  const names = graph.layers.map((layer) => layer.name)
  const near = nearestName(part, [
    ...names,
    ...stagesOf(graph).map((stage) => `stage:${stage}`),
    'all',
    'head',
    'last:1',
  ])
  return new RegraftError(
    'usage',
    `No layer matches '${part}'.${near ? ` Did you mean '${near}'?` : ''}\nUse last:N, stage:NAME, stage:NAME+, all, or a pattern over layer names. The stages are ${stagesOf(graph).join(', ')}.`,
  )
}

/** Marks exactly the layers outside `trainable` as frozen. */
export function freezeExcept(graph: Graph, trainable: ReadonlySet<string>): Graph {
  const layers = graph.layers.map((layer): Layer => ({ ...layer, frozen: !trainable.has(layer.name) }))
  return { ...graph, layers }
}
