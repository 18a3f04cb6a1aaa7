// Vectors as they are computed: one row per input, in their order.
import { countInputs, type InputImage, inputImages } from '../data/expand-inputs.ts'
import { oneAhead } from '../data/one-ahead.ts'
import { pictureBatches } from '../data/picture-batches.ts'
import { graphOf, type Model } from '../model/model.ts'
import type { Runner } from '../runtime/runner.ts'
import type { VectorArray, VectorBlock, VectorRow } from '../vectors/vector-table.ts'
import { type EmbeddedLayers, embeddedLayers, vectorOf } from './embed-layers.ts'
import { SPEED_SAMPLE } from './embed-speed.ts'
import type { EmbedOptions, Inputs } from './options.ts'
import { INFERENCE_BATCH, openInference, openSession } from './session.ts'

/** One part of several that share the work: every count-th input, beginning with the index-th, from 1. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** The layers of a model that become vectors; the input of its classifier when none is named. */
export function layersOf(model: Model, options: Pick<EmbedOptions, 'layers' | 'pool'>): EmbeddedLayers {
  const trunk = graphOf({ ...model, head: { kind: 'none' }, labels: [] })
  const names = options.layers ?? [trunk.features]
  const pooling = options.pool ?? 'mean'
  const inTrunk = names.every((name) =>
    trunk.layers.some((layer) => layer.name === name || layer.block === name || layer.stage === name),
  )
  return embeddedLayers(inTrunk ? trunk : graphOf(model), names, pooling)
}

export function arraysOf({ layers }: EmbeddedLayers): VectorArray[] {
  return layers.map(({ name, columns }) => ({ name, columns }))
}

/**
 * Blocks of vectors, a batch each. Inputs that cannot be read have a row with the reason, and NaN.
 * @param images  those that are wanted
 * @throws RegraftError 'data' for a bad picture with `onError: 'stop'`, 'interrupted'
 */
export async function* embeddedRows(
  model: Model,
  wanted: EmbeddedLayers,
  images: AsyncIterable<InputImage>,
  options: Omit<EmbedOptions, 'out'> & {
    readonly total: number
    readonly done: number
    /** What is to be done after the last picture, with the runner and some of the pictures. */
    readonly afterwards?: ((runner: Runner, sample: readonly InputImage[]) => Promise<void>) | undefined
  },
): AsyncGenerator<VectorBlock, void, undefined> {
  const { engine, signal, listener, total } = options
  const { graph, layers } = wanted
  const session = await openSession(engine, model, graph)
  const batchSize = Math.min(options.batchSize ?? INFERENCE_BATCH, Math.max(1, total || Number.POSITIVE_INFINITY))
  try {
    const outputs = [...new Set(layers.map(({ layer }) => layer))]
    const runner = await openInference(engine, session, batchSize, outputs, signal)
    let done = options.done
    const sample: InputImage[] = []
    try {
      const batches = pictureBatches(images, {
        preprocessing: model.preprocessing,
        batchSize,
        signal,
        onError: options.onError,
      })
      for await (const { rows, count, bytes } of oneAhead(batches)) {
        if (count > 0) {
          runner.writeBytes(bytes)
          await runner.run(count, { signal })
        }
        const read = layers.map(({ layer }) => runner.read(layer, count))
        const values = layers.map(({ columns }) => new Float32Array(rows.length * columns).fill(Number.NaN))
        for (const [row, { image, slot, error }] of rows.entries()) {
          if (slot === undefined) {
            listener?.({ type: 'bad', path: image.path, reason: error ?? 'was not read' })
            continue
          }
          for (const [at, layer] of layers.entries()) {
            const size = layer.columns
            const vector = vectorOf(read[at]?.subarray(slot * size, (slot + 1) * size) ?? new Float32Array(), layer)
            values[at]?.set(vector, row * size)
          }
        }
        if (options.afterwards && sample.length < SPEED_SAMPLE)
          sample.push(...rows.flatMap(({ image, slot }) => (slot === undefined ? [] : [image])))
        done += rows.length
        listener?.({ type: 'progress', phase: 'embed', done, total })
        yield { rows: rows.map(({ image, error }) => rowOf(image, error)), values }
      }
      await options.afterwards?.(runner, sample)
    } finally {
      runner.close()
    }
  } finally {
    session.close()
  }
}

function rowOf({ path, label }: InputImage, error: string | undefined): VectorRow {
  return { path, label: label ?? null, error: error ?? null }
}

/** The inputs of a shard, without the first ones. */
export async function* shardImages(
  inputs: Inputs,
  shard: Shard,
  skip: number,
  signal: AbortSignal | undefined,
  onSkip?: (image: InputImage) => Promise<void>,
): AsyncGenerator<InputImage, void, undefined> {
  let number = 0
  let row = 0
  for await (const image of inputImages(inputs, signal)) {
    if (number++ % shard.count !== shard.index - 1) continue
    if (row++ < skip) await onSkip?.(image)
    else yield image
  }
}

/** How many rows a shard will have; 0 when only time will tell. */
export async function shardTotal(inputs: Inputs, shard: Shard, signal: AbortSignal | undefined): Promise<number> {
  if (Symbol.asyncIterator in inputs) return 0
  const total = await countInputs(inputs, signal)
  return Math.max(0, Math.ceil((total - shard.index + 1) / shard.count))
}
