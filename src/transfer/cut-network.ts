// Fine-tuning cut at the boundary of the frozen part: below it each picture is computed once and its activations are kept; only what
// lies above is computed in each step. The bits are those of the whole network.
import * as os from 'node:os'
import { compileAugmentation } from '../data/augmentations/index.ts'
import { decoderVersion } from '../data/decoder-version.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Sample } from '../data/sample.ts'
import { sha256, sha256OfPieces } from '../files/digest.ts'
import { formatBytes } from '../format-bytes.ts'
import { withDropping } from '../graph/dropping.ts'
import { type Graph, layerNamed } from '../graph/graph.ts'
import type { Engine } from '../kernels/engine.ts'
import { channelsOf } from '../ops/op.ts'
import { cutAt, frozenBoundary } from '../runtime/boundary.ts'
import type { ParameterStore } from '../runtime/parameters.ts'
import type { PlanOptions, TrainingMode } from '../runtime/plan.ts'
import { createRunner, runnerBytes } from '../runtime/runner.ts'
import { elementCount } from '../tensor/shape.ts'
import { batchPieces } from '../train/batch-pieces.ts'
import { version } from '../version.ts'
import { openActivationStore } from './activation-store.ts'
import { type ActivationSource, activations } from './activations.ts'
import { opened } from './opened.ts'
import type { PictureNetwork } from './picture-network.ts'
import { droppingOf, mixesPictures } from './regularisers.ts'
import { INFERENCE_BATCH, type Session } from './session.ts'
import { cacheDefaults } from './train-defaults.ts'
import { changesPictures, drawEpoch, trainingOrder, type Work } from './train-work.ts'

/**
 * Opens the network in two parts.
 * @param besideBytes  that will be wanted beside the runners
 * @returns            undefined where that is not wanted, not possible, or of no use; a line says why when it could be a surprise
 * @throws RegraftError of the disk when the folder of the cache cannot be used at all
 */
export async function openCutNetwork(
  work: Work,
  session: Session,
  training: TrainingMode,
  besideBytes: number,
): Promise<PictureNetwork | undefined> {
  const { options, config, data, model, timing } = work
  const { engine, signal, listener } = options
  const { graph, store } = session
  const note = (message: string) => listener?.({ type: 'note', message })
  const wanted = options.cache ?? config.cache
  if (wanted === 'off') return undefined
  const boundary = frozenBoundary(graph, training)
  if (boundary === undefined) {
    const unless = frozenBoundary(graph, { ...training, batchStatistics: new Set() })
    if (unless !== undefined)
      note(
        `The cache is off: with --bn ${config.bn}, batch norm learns its statistics below '${unless}', so nothing stays the same.`,
      )
    else if (wanted !== null) note('The cache is off: no part of the network stays as it is from the first layer on.')
    return undefined
  }
  if (mixesPictures(config)) {
    note('The cache is off: --mixup and --cutmix make pictures of others, and other ones in each step.')
    return undefined
  }
  const { lower, upper } = cutAt(graph, boundary)
  const trained = withDropping(upper, droppingOf(model, graph, config))
  const plans = {
    lower: { input: 'bytes' },
    watcher: { input: 'floats', outputs: [upper.features] },
    training: { input: 'floats', training },
  } as const satisfies Record<string, PlanOptions>
  const microBatch = config.microBatch ?? config.batchSize
  const bytes =
    runnerBytes(lower, store, plans.lower)(INFERENCE_BATCH) +
    runnerBytes(upper, store, plans.watcher)(INFERENCE_BATCH) +
    runnerBytes(trained, store, plans.training)(microBatch)
  if (bytes + besideBytes > engine.arena.roomBytes()) {
    note(`The cache is off: cut at '${boundary}', the network does not fit into --max-memory.`)
    return undefined
  }

  const floats = elementCount(layerNamed(graph, boundary).shape)
  const changing = changesPictures(config)
  const variants = changing ? config.cacheVariants : 1
  const entries = data.validation.length + (variants === null ? 0 : data.train.length * variants)
  const folder = wanted === null || wanted === 'memory' ? undefined : wanted
  const size = options.cacheSize ?? config.cacheSize
  const mostBytes = size ?? (folder === undefined ? cacheDefaults.memoryBytes : cacheDefaults.folderBytes)
  // Whoever asked for nothing need not hear why it does little.
  if (variants === null && wanted !== null)
    note(
      `${config.augment === 'none' ? '--reprob' : '--augment'} makes each training picture anew in each epoch, so only those for validation are kept; --cache-variants 8 would make 8 of each, and keep them.`,
    )
  if (entries * floats * 4 > mostBytes)
    note(
      `The cache keeps ${formatBytes(mostBytes)} of ${formatBytes(entries * floats * 4)}; the rest is computed each time. --cache-size ${folder === undefined ? 'or --cache DIR makes' : 'makes'} room.`,
    )
  const kept = await openActivationStore({
    floats,
    memoryBytes: Math.min(mostBytes, size ?? cacheDefaults.memoryBytes),
    ...(folder === undefined
      ? {}
      : {
          folder: {
            path: folder,
            maxBytes: mostBytes,
            shelf: await shelfOf(engine, lower, store, model.preprocessing, signal),
          },
        }),
    onProblem: note,
  })

  const runners = opened()
  const open = (part: Graph, images: number, plan: PlanOptions) =>
    runners.add(createRunner(engine, part, store, { ...plan, images, besideBytes }))
  const openAll = async () => {
    const lowerRunner = open(lower, INFERENCE_BATCH, plans.lower)
    const watcher = open(upper, INFERENCE_BATCH, plans.watcher)
    const runner = open(trained, microBatch, plans.training)
    await lowerRunner.prepare(signal)
    await watcher.prepare(signal)
    return { lowerRunner, watcher, runner }
  }
  const { lowerRunner, watcher, runner } = await openAll().catch((error: unknown) => {
    runners.close()
    throw error
  })
  const source: ActivationSource = {
    lower: lowerRunner,
    store: kept,
    preprocessing: model.preprocessing,
    digests: work.digests,
    kept: work.kept,
    timing,
  }
  const augmentation = config.augment === 'none' ? undefined : compileAugmentation(config.augment)
  const inference = { batchAt: () => INFERENCE_BATCH, signal } as const

  return {
    training: runner,
    cache: { entryBytes: floats * 4, mostBytes: Math.min(mostBytes, size ?? cacheDefaults.memoryBytes) },

    async features(samples, { split, knownBad, onBad }) {
      const width = channelsOf(layerNamed(upper, upper.features).shape)
      const values = new Float32Array(samples.length * width)
      const indices: number[] = []
      let bad = 0
      listener?.({ type: 'phase', phase: 'features', total: samples.length, unit: 'images' })
      for await (const batch of activations(source, {
        ...inference,
        samples,
        keep: split === 'validation' || !changing,
        onError: config.onError,
        onBad(image) {
          bad++
          onBad(image)
        },
        knownBad,
      })) {
        watcher.writeFloats(batch.values)
        await timed(() => watcher.run(batch.indices.length, { signal }))
        values.set(watcher.read(upper.features, batch.indices.length), indices.length * width)
        indices.push(...batch.indices)
        listener?.({ type: 'progress', phase: 'features', done: indices.length + bad, total: samples.length })
      }
      listener?.({ type: 'phaseEnd', phase: 'features' })
      return { indices, values: values.subarray(0, indices.length * width), width }
    },

    async *batches(epoch, from, { badTrain }, stop) {
      const order = trainingOrder(work, badTrain, epoch)
      const pieces = new Map(
        [...batchPieces(from, order.length, config.batchSize, microBatch)].map(({ start, end }) => [
          start - from,
          end - start,
        ]),
      )
      const draws = drawEpoch(config, epoch)
      for await (const batch of activations(source, {
        samples: data.train,
        order: order.subarray(from),
        batchAt: (given) => pieces.get(given) ?? 0,
        ...(changing && { variant: { augmentation, erase: config.reprob, seed: config.seed, epoch: draws } }),
        keep: variants !== null,
        signal: stop,
        knownBad: badTrain,
        // Pictures that could not be read are known by now; one that vanished since must not change the run silently.
        onError: 'stop',
      })) {
        yield {
          labels: labelsOf(data.train, batch.indices),
          names: () => batch.indices.map((index) => data.train[index]?.path ?? ''),
          write: (into = runner, pictures = batch.indices.length) =>
            into.writeFloats(batch.values.subarray(0, pictures * floats)),
        }
      }
    },

    async validate({ badValidation }, stop) {
      await watcher.prepare(stop)
      const classes = data.classes.length
      const logits = new Float32Array(data.validation.length * classes)
      const seen: number[] = []
      for await (const batch of activations(source, {
        ...inference,
        samples: data.validation,
        keep: true,
        signal: stop,
        knownBad: badValidation,
        onError: 'stop',
      })) {
        watcher.writeFloats(batch.values)
        await timed(() => watcher.run(batch.indices.length, { signal: stop }))
        logits.set(watcher.read(upper.output, batch.indices.length), seen.length * classes)
        seen.push(...batch.indices)
      }
      return {
        logits: logits.subarray(0, seen.length * classes),
        labels: labelsOf(data.validation, seen),
        paths: seen.map((index) => data.validation[index]?.path ?? ''),
      }
    },

    close: () => runners.close(),
  }

  async function timed(work: () => Promise<void>): Promise<void> {
    const startedAt = performance.now()
    await work()
    timing.computeMs += performance.now() - startedAt
  }
}

function labelsOf(samples: readonly Sample[], indices: readonly number[]): Int32Array {
  return Int32Array.from(indices, (index) => samples[index]?.label ?? 0)
}

/** All that activations depend on but the picture itself and how it is changed. */
async function shelfOf(
  engine: Engine,
  lower: Graph,
  store: ParameterStore,
  preprocessing: Preprocessing,
  signal: AbortSignal | undefined,
): Promise<string> {
  const below = new Set(lower.layers.map(({ name }) => name))
  const weights = store.parameters.filter(({ layer }) => below.has(layer.name))
  const contents = weights.map(({ address, length }) => engine.bytes(address, length * 4))
  return sha256(
    JSON.stringify({
      activations: 1,
      version,
      decoderVersion,
      preprocessing,
      kernels: engine.digest,
      // How relaxed instructions round is the processor's business.
      processor: engine.build === 'relaxed' ? (os.cpus()[0]?.model ?? '') : '',
      layers: lower.layers.map(({ name, op, attrs, inputs, shape }) => ({ name, op, attrs, inputs, shape })),
      weights: await sha256OfPieces(contents, signal),
    }),
  )
}
