// `--bn adapt`: the running statistics of a network's batch norms, estimated anew on the training pictures and frozen then. They follow
// from pictures and weights alone, so a run that goes on computes them again.
import { loadBatches } from '../data/loader.ts'
import type { Graph, Layer } from '../graph/graph.ts'
import { graphOf, type Model } from '../model/model.ts'
import { createRunner } from '../runtime/runner.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { openSession } from './session.ts'
import type { Work } from './train-work.ts'
import { batchStatistics } from './trainable.ts'

/**
 * The model with mean and variance of all training pictures in every batch norm, as batches of training see them. Pictures that cannot
 * be read are left out; whoever comes next names them.
 * @throws RegraftError 'memory' when a batch does not fit; as `loadBatches`
 */
export async function withAdaptedStatistics({ options, config, data, model, timing, kept }: Work): Promise<Model> {
  const { engine, signal, listener } = options
  const plain = graphOf(model)
  const session = await openSession(engine, model, plain)
  try {
    // The running statistics become those of the last batch.
    const graph: Graph = { ...plain, layers: plain.layers.map(ofLastBatch) }
    const runner = createRunner(engine, graph, session.store, {
      images: config.microBatch ?? config.batchSize,
      input: 'bytes',
      training: { trainable: new Set(), batchStatistics: batchStatistics(graph, 'train') },
    })
    try {
      await runner.prepare(signal)
      const sums = session.store.parameters
        .filter(({ layer, spec }) => layer.op === 'batchNorm' && spec.name === 'running_mean')
        .map(({ name, length }) => ({
          mean: name,
          variance: name.replace(/mean$/, 'var'),
          values: new Float64Array(length),
          squares: new Float64Array(length),
        }))
      let pictures = 0
      listener?.({ type: 'phase', phase: 'adapt', total: data.train.length, unit: 'images' })
      for await (const batch of loadBatches({
        samples: data.train,
        preprocessing: model.preprocessing,
        batchSize: runner.images,
        signal,
        onError: config.onError,
        kept,
        statistics: timing.load,
      })) {
        runner.writeBytes(batch.bytes)
        const startedAt = performance.now()
        await runner.run(batch.count, { signal })
        timing.computeMs += performance.now() - startedAt
        for (const { mean, variance, values, squares } of sums) {
          const means = session.store.read(mean).data
          const variances = session.store.read(variance).data
          for (const [channel, value] of means.entries()) {
            values[channel] = (values[channel] ?? 0) + batch.count * value
            squares[channel] = (squares[channel] ?? 0) + batch.count * (value * value + (variances[channel] ?? 0))
          }
        }
        pictures += batch.count
        listener?.({ type: 'progress', phase: 'adapt', done: pictures, total: data.train.length })
      }
      listener?.({ type: 'phaseEnd', phase: 'adapt' })
      // Whoever comes next says that no picture can be read.
      if (pictures === 0) return model
      const tensors = new Map(model.tensors)
      for (const { mean, variance, values, squares } of sums) {
        const { shape } = session.store.read(mean)
        const tensor = (value: (channel: number) => number): HostTensor => ({
          shape,
          data: Float32Array.from({ length: shape[0] ?? 0 }, (_, channel) => value(channel)),
        })
        const meanOf = (channel: number) => (values[channel] ?? 0) / pictures
        tensors.set(mean, tensor(meanOf))
        // Not below zero, where rounding is all there is.
        const varianceOf = (channel: number) =>
          Math.max(0, (squares[channel] ?? 0) / pictures - meanOf(channel) * meanOf(channel))
        tensors.set(variance, tensor(varianceOf))
      }
      return { ...model, tensors }
    } finally {
      runner.close()
    }
  } finally {
    session.close()
  }
}

function ofLastBatch(layer: Layer): Layer {
  return layer.op === 'batchNorm' ? { ...layer, attrs: { ...layer.attrs, momentum: 1 } } : layer
}
