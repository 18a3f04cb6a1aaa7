import { freezeExcept } from '../../graph/freeze.ts'
import { graphOf } from '../../model/model.ts'
import { penaltyStrength } from '../../optim/penalty.ts'
import { createUpdater } from '../../optim/updater.ts'
import { gatherGradient } from '../../train/step.ts'
import { openCutNetwork } from '../cut-network.ts'
import { freshHead } from '../fine-tune.ts'
import { layerRates } from '../layer-rates.ts'
import { chosenLoss } from '../loss-options.ts'
import { parseRates } from '../rates.ts'
import { loadTensors, openSession, readTensors } from '../session.ts'
import type { BothVectors } from '../train-vectors.ts'
import { changesPictures, type Work } from '../train-work.ts'
import { batchStatistics, trainableLayers, trainableParameters } from '../trainable.ts'
import { openWholeNetwork } from '../whole-network.ts'
import { secondsOfHead } from './head-trial.ts'
import { sampleVectors } from './sample.ts'
import { decayPenalty, lossOf, overfit, type Trial, timed } from './trial.ts'

/** @param sample  the work with a handful of pictures  @param full  pictures that there are */
export async function tryFineTuning(
  sample: Work,
  full: { readonly train: number; readonly val: number },
): Promise<Trial | undefined> {
  const { options, config, data, model } = sample
  const { engine, signal } = options
  const plain = graphOf(model)
  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const session = await openSession(engine, model, graph)
  try {
    const { store } = session
    const classes = data.classes.length
    const hasHead = store.parameters.every(({ name }) => model.tensors.has(name))
    if (!hasHead) await loadTensors(store, await freshHead(graph, config))
    const trainable = trainableParameters(graph, config.bnAffine)
    const statistics = batchStatistics(graph, config.bn)
    const mode = { trainable, batchStatistics: statistics, loss: chosenLoss(config) }
    const network =
      (await openCutNetwork(sample, session, mode, 0)) ?? (await openWholeNetwork(sample, session, mode, 0))
    try {
      const { training: runner } = network
      const step = { engine, runner, store, classes, signal }
      const { vectors, secondsPerPicture } = await sampleVectors(sample, network.features)
      if (vectors === undefined) return undefined
      await runner.prepare(signal)
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
      const first = await firstBatch(network, vectors, signal)
      const beginning = await readTensors(store, [
        ...trainable,
        ...store.parameters.flatMap(({ name, layer, spec }) =>
          spec.kind === 'statistic' && statistics.has(layer.name) ? [name] : [],
        ),
      ])
      const updater = createUpdater(engine, runner, store, {
        optimiser: config.opt,
        settings: { momentum: config.momentum },
        weightDecay: config.weightDecay,
        penalty: penaltyStrength(config, full.train),
        clipNorm: config.clipGrad,
        ...layerRates(graph, trainable, config),
      })
      let firstLoss: number
      let penalty = decayPenalty(engine, store, trainable, config.weightDecay)
      let fresh: number
      let again: number
      let validating: number
      try {
        firstLoss = await lossOf(first, updater, step)
        penalty += await updater.penalty()
        const epoch = async () => {
          const batches = network.batches(1, 0, vectors, signal)[Symbol.asyncIterator]()
          const pictures = data.train.length - vectors.badTrain.size
          let steps = 0
          for (let at = 0; at < pictures; at += config.batchSize) {
            const count = Math.min(config.batchSize, pictures - at)
            await gatherGradient(batches, count, { ...step, updater, smoothing: config.smoothing })
            updater.setStep(parseRates(config.lr).head, steps++)
            await updater.update()
          }
          return pictures
        }
        const one = await timed(epoch)
        const two = await timed(epoch)
        // Without a cache both do the same, and the second one is warm.
        fresh = (!changesPictures(config) || network.cache === undefined ? two : one).seconds / one.result
        again = two.seconds / two.result
        await network.validate(vectors, signal)
        const validated = await timed(() => network.validate(vectors, signal))
        validating = validated.seconds / Math.max(1, validated.result.labels.length)
      } finally {
        updater.close()
      }
      await loadTensors(store, beginning)
      const overfitting = await overfit(first, step, 1e-3, 60)

      const freshEpochs = !changesPictures(config) ? 0 : Math.min(config.cacheVariants ?? config.epochs, config.epochs)
      const epochs =
        freshEpochs * full.train * fresh +
        (config.epochs - freshEpochs) * full.train * again +
        config.epochs * full.val * validating
      const head = hasHead || !config.pretrained ? 0 : await secondsOfHead(sample, vectors, full.train)
      const trainedBytes = [...beginning.values()].reduce((sum, { data: values }) => sum + values.byteLength, 0)
      return {
        firstLoss,
        penalty,
        overfitting,
        seconds: {
          features: (full.train + full.val) * secondsPerPicture,
          head,
          epochs,
          end: full.val * validating + 24 * secondsPerPicture,
        },
        growthBytes:
          growthOf(sample, network.cache, full) + (full.train + full.val) * vectors.train.width * 4 + 4 * trainedBytes,
      }
    } finally {
      network.close()
    }
  } finally {
    session.close()
  }
}

async function firstBatch(
  network: { batches: Awaited<ReturnType<typeof openWholeNetwork>>['batches'] },
  vectors: BothVectors,
  signal: AbortSignal | undefined,
) {
  const batches = network.batches(1, 0, vectors, signal)
  const { value, done } = await batches.next()
  // Nobody waits for pictures that are on their way and not wanted.
  batches.return(undefined).catch(() => undefined)
  if (done || !value) throw new Error('an epoch without a batch')
  return value
}

/** What is kept for each picture: its activations, or what it takes to make them again. */
function growthOf(
  { kept, config, data, model }: Work,
  cache: { readonly entryBytes: number; readonly mostBytes: number } | undefined,
  full: { readonly train: number; readonly val: number },
): number {
  const pictures = data.train.length + data.validation.length
  const encoded = kept.images.size > 0 ? kept.usedBytes / kept.images.size : 0
  const encodedBytes = Math.max(0, Math.min(kept.maxBytes, encoded * full.train) - kept.usedBytes)
  if (cache === undefined) {
    const { width, height } = model.preprocessing
    const decoded = Math.max(0, full.val - data.validation.length) * width * height * 3
    return encodedBytes + (decoded <= 2 ** 30 ? decoded : 0)
  }
  const versions = !changesPictures(config) ? 1 : Math.min(config.cacheVariants ?? 0, config.epochs)
  const entries = full.val + full.train * versions
  const activations = Math.min(cache.mostBytes, entries * cache.entryBytes)
  return encodedBytes + Math.max(0, activations - pictures * cache.entryBytes)
}
