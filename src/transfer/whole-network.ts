// Fine-tuning with every picture through the whole network in each epoch.
import { compileAugmentation } from '../data/augmentations/index.ts'
import { type Batch, loadBatches } from '../data/loader.ts'
import { type MixedBatch, mixedBatches } from '../data/mixing.ts'
import { withDropping } from '../graph/dropping.ts'
import type { TrainingMode } from '../runtime/plan.ts'
import { createRunner, type Runner } from '../runtime/runner.ts'
import { evaluatePictures } from './evaluate-pictures.ts'
import { imageOutputs } from './extract-features.ts'
import type { PictureNetwork } from './picture-network.ts'
import { droppingOf, mixesPictures } from './regularisers.ts'
import { INFERENCE_BATCH, openInference, type Session } from './session.ts'
import type { FeaturePass } from './train-vectors.ts'
import { drawEpoch, trainingOrder, type Work } from './train-work.ts'

/** Bytes of decoded validation pictures that are kept in memory; beyond it they are decoded in each epoch. */
const KEPT_PICTURES_BYTES = 1 << 30

/** @param besideBytes  that will be wanted beside the runners, for advice when memory is short */
export async function openWholeNetwork(
  work: Work,
  session: Session,
  training: TrainingMode,
  besideBytes: number,
): Promise<PictureNetwork> {
  const { options, config, data, model, timing } = work
  const { engine, signal } = options
  const { graph, store } = session
  const watcher = await openInference(engine, session, INFERENCE_BATCH, [graph.features], signal)
  const openTraining = () => {
    try {
      return createRunner(engine, withDropping(graph, droppingOf(model, graph, config)), store, {
        images: config.microBatch ?? config.batchSize,
        input: 'bytes',
        training,
        besideBytes,
      })
    } catch (error) {
      watcher.close()
      throw error
    }
  }
  const runner = openTraining()
  const augment = config.augment === 'none' ? undefined : compileAugmentation(config.augment)
  const kept = keptPictures(data.validation.length * model.preprocessing.height * model.preprocessing.width * 3)
  return {
    training: runner,
    features: wholePass(work, watcher, kept?.add),
    async *batches(epoch, from, { badTrain }, stop) {
      const order = trainingOrder(work, badTrain, epoch)
      const loaded = loadBatches({
        samples: data.train,
        order: order.subarray(from),
        preprocessing: model.preprocessing,
        batchSize: config.microBatch ?? config.batchSize,
        endEvery: config.batchSize,
        augment,
        erase: config.reprob,
        seed: config.seed,
        epoch: drawEpoch(config, epoch),
        signal: stop,
        knownBad: badTrain,
        kept: work.kept,
        statistics: timing.load,
        // Pictures that could not be read are known by now; one that vanished since must not change the run silently.
        onError: 'stop',
      })
      const { width, height } = model.preprocessing
      const batches: AsyncIterable<Batch & Partial<MixedBatch>> = mixesPictures(config)
        ? mixedBatches(loaded, {
            mixing: config,
            classes: data.classes.length,
            width,
            height,
            seed: config.seed,
            epoch,
            from,
            stepPictures: config.batchSize * config.accum,
          })
        : loaded
      for await (const batch of batches) {
        yield {
          labels: batch.labels,
          ...(batch.shares && { shares: batch.shares }),
          names: () => batch.indices.map((index) => data.train[index]?.path ?? ''),
          write: (into = runner, pictures = batch.count) =>
            into.writeBytes(batch.bytes.subarray(0, (batch.bytes.length / batch.count) * pictures)),
        }
      }
    },
    async validate({ validation }, stop) {
      await watcher.prepare(stop)
      const pictures = kept
        ? { bytes: kept.bytes(), labels: validation.labels, paths: validation.paths }
        : data.validation
      return evaluatePictures(watcher, pictures, model.preprocessing, data.classes.length, { signal: stop, timing })
    },
    close() {
      runner.close()
      watcher.close()
    },
  }
}

/** Pictures through a prepared runner that gives the features. @param keep  receives the bytes of the validation pictures */
export function wholePass(work: Work, runner: Runner, keep?: (bytes: Uint8Array) => void): FeaturePass {
  const { options, config, model, timing } = work
  return (samples, { split, knownBad, onBad }) =>
    imageOutputs(runner, samples, {
      signal: options.signal,
      listener: options.listener,
      onError: config.onError,
      phase: 'features',
      preprocessing: model.preprocessing,
      layer: runner.graph.features,
      onBad,
      knownBad,
      timing,
      ...(keep && split === 'validation' ? { onBytes: keep } : {}),
    })
}

/** Room for decoded pictures, or undefined when they are too many. */
function keptPictures(mostBytes: number) {
  if (mostBytes > KEPT_PICTURES_BYTES) return undefined
  const all = new Uint8Array(mostBytes)
  let used = 0
  return {
    add(bytes: Uint8Array) {
      all.set(bytes, used)
      used += bytes.length
    },
    bytes: () => all.subarray(0, used),
  }
}
