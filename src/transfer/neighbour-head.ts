// A head that remembers all training vectors and lets the nearest vote. It is no layer of the network: it is computed after it.
import type { Engine } from '../kernels/engine.ts'
import type { NeighbourHead } from '../model/head.ts'
import type { Model } from '../model/model.ts'
import { openCosineIndex } from '../solve/cosine-index.ts'
import { neighbourVotes } from '../solve/neighbour-votes.ts'
import { meanCrossEntropy } from '../solve/output-scale.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { type FeatureSpace, fitSpace, type SpaceOptions, storedSpace } from './feature-space.ts'
import type { Vectors } from './head-trainer.ts'

/** Numbers of neighbours that are tried when nobody says. */
const tried = [1, 3, 5, 7, 11, 15, 21, 31, 51] as const

/** Makes outputs of feature vectors. */
export interface Readout {
  /** f32[rows, features] to f32[rows, outputs] */
  read(values: Float32Array, signal?: AbortSignal): Promise<Float32Array>
  close(): void
}

/** What stands between the output of a model's graph and its outputs: nothing, for a head of layers. */
export async function openReadout(engine: Engine, { head, labels, tensors }: Model): Promise<Readout> {
  if (head.kind !== 'knn') return { read: async (values) => values, close: () => undefined }
  const own = new Map<string, HostTensor>()
  for (const [name, tensor] of tensors) if (name.startsWith('head.')) own.set(name.slice(5), tensor)
  const vectors = own.get('vectors')?.data ?? new Float32Array()
  const classOf = own.get('labels')?.data ?? new Float32Array()
  return await openNeighbours(engine, storedSpace(engine, own), head, vectors, classOf, labels.length)
}

async function openNeighbours(
  engine: Engine,
  space: FeatureSpace,
  { neighbours, rows, width }: NeighbourHead,
  vectors: Float32Array,
  classOf: ArrayLike<number>,
  classes: number,
): Promise<Readout> {
  const readRows = async (first: number, count: number) => vectors.subarray(first * width, (first + count) * width)
  const index = await openCosineIndex(engine, { rows, columns: width, readRows })
  return {
    async read(values, signal) {
      const found = await index.search(await space.enter(values, signal), neighbours, signal)
      const outputs = new Float32Array(found.length * classes)
      for (const [row, nearest] of found.entries())
        outputs.set(
          neighbourVotes(nearest, neighbours, (at) => classOf[at] ?? 0, classes),
          row * classes,
        )
      return outputs
    },
    close: () => index.close(),
  }
}

/**
 * Remembers vectors. How many neighbours vote is decided by what each training vector would be called by the others, where nobody says.
 * @returns the head, and its tensors by their names in a model
 */
export async function fitNeighbours(
  engine: Engine,
  { values, labels, width: columns }: Vectors,
  classes: number,
  options: SpaceOptions & { readonly neighbours: number | null },
  signal: AbortSignal | undefined,
): Promise<{ readonly head: NeighbourHead; readonly tensors: Map<string, HostTensor> }> {
  const space = await fitSpace(engine, values, columns, options, signal)
  const vectors = await space.enter(values, signal)
  const rows = labels.length
  const neighbours =
    options.neighbours === null ? await bestCount(engine, vectors, labels, classes, signal) : options.neighbours
  const head: NeighbourHead = {
    kind: 'knn',
    neighbours: Math.min(neighbours, rows),
    rows,
    width: space.width,
    projected: options.pca !== null,
  }
  const tensors = new Map<string, HostTensor>([
    ...[...space.tensors].map(([name, tensor]) => [`head.${name}`, tensor] as const),
    ['head.vectors', { shape: [rows, space.width], data: vectors }],
    ['head.labels', { shape: [rows], data: Float32Array.from(labels) }],
  ])
  return { head, tensors }
}

/** The number of neighbours with the least cross-entropy over rows that do not vote for themselves; of equal ones the larger. */
async function bestCount(
  engine: Engine,
  vectors: Float32Array,
  labels: Int32Array,
  classes: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const rows = labels.length
  const columns = vectors.length / rows
  const readRows = async (first: number, count: number) => vectors.subarray(first * columns, (first + count) * columns)
  const index = await openCosineIndex(engine, { rows, columns, readRows })
  try {
    const found = await index.search(vectors, Math.min(rows, Math.max(...tried) + 1), signal)
    const others = found.map((nearest, row) => nearest.filter((neighbour) => neighbour.row !== row))
    let best = { count: 1, loss: Number.POSITIVE_INFINITY }
    for (const count of tried) {
      if (count >= rows) break
      const outputs = new Float64Array(rows * classes)
      for (const [row, nearest] of others.entries())
        outputs.set(
          neighbourVotes(nearest, count, (at) => labels[at] ?? 0, classes),
          row * classes,
        )
      const loss = meanCrossEntropy(outputs, labels, classes)
      if (loss <= best.loss) best = { count, loss }
    }
    return best.count
  } finally {
    index.close()
  }
}
