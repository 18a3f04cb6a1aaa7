// A step whose pictures do not fit into memory together is computed in pieces that do. How large they are follows from shapes and the
// limit of memory alone, and is kept in the configuration: it decides the last bits of a result.
import { RegraftError } from '../errors.ts'
import { formatBytes } from '../format-bytes.ts'
import { withDropping } from '../graph/dropping.ts'
import { freezeExcept } from '../graph/freeze.ts'
import { layerNamed } from '../graph/graph.ts'
import { plannableBytes } from '../kernels/engine.ts'
import { graphOf, type Model } from '../model/model.ts'
import { channelsOf } from '../ops/op.ts'
import { updaterBytes } from '../optim/updater.ts'
import { planParameters } from '../runtime/parameters.ts'
import { runnerBytes } from '../runtime/runner.ts'
import { headTrainerBytes } from './head-trainer.ts'
import { chosenLoss } from './loss-options.ts'
import { droppingOf, headDroppingOf } from './regularisers.ts'
import { INFERENCE_BATCH } from './session.ts'
import type { TrainConfig } from './train-defaults.ts'
import { averageBytes, batchStatistics, trainableLayers, trainableParameters, trainableValues } from './trainable.ts'

/** A piece of memory takes up to this much more than was asked for. */
const SLACK_BYTES = 4096

/** What a step needs besides what it shares with all others. */
interface StepMemory {
  readonly roomBytes: number
  /** Bytes that computing so many pictures at a time takes. */
  readonly bytesFor: (images: number) => number
  /** Whether batch norm learns from the pictures that are computed together. */
  readonly learnsStatistics: boolean
}

/**
 * How many pictures of a batch are computed at a time: those that the user said, or all where they fit, or equal parts that do.
 * @param onNote  hears of a batch that is split
 * @returns       null for the whole batch
 * @throws RegraftError 'usage' when the user's number cannot be meant; 'memory' when the batch does not fit and batch norm would learn
 *         from parts of it
 */
export function microBatchFor(
  model: Model,
  config: TrainConfig,
  limitBytes: number,
  onNote: (message: string) => void,
): number | null {
  const { batchSize, microBatch } = config
  const { roomBytes, bytesFor, learnsStatistics } = stepMemory(model, config, limitBytes)
  if (microBatch !== null) {
    if (microBatch > batchSize)
      throw new RegraftError(
        'usage',
        `--micro-batch ${microBatch} is more than the ${batchSize} pictures of --batch-size.`,
      )
    if (microBatch < batchSize && learnsStatistics)
      throw new RegraftError(
        'usage',
        `With --bn ${config.bn} a batch is not split, because batch norm would learn from ${microBatch} pictures at a time.\n` +
          `If that is meant: --batch-size ${microBatch} --accum ${Math.ceil((batchSize * config.accum) / microBatch)}. Else leave --micro-batch out, or use --bn frozen.`,
      )
    return microBatch
  }
  if (bytesFor(batchSize) <= roomBytes) return null
  const fits = mostThatFit(batchSize, (images) => bytesFor(images) <= roomBytes)
  // Whoever asks for the memory says best how much is missing.
  if (fits === 0) return null
  const parts = Math.ceil(batchSize / fits)
  const micro = Math.ceil(batchSize / parts)
  const needs = `Training with a batch of ${batchSize} needs ${formatBytes(limitBytes - roomBytes + bytesFor(batchSize))} of memory; the limit is ${formatBytes(limitBytes)}`
  if (learnsStatistics)
    throw new RegraftError(
      'memory',
      `${needs}.\nA batch of ${fits} would fit: lower --batch-size to ${fits}; with --accum ${Math.ceil((batchSize * config.accum) / fits)} a step still has as many pictures, but batch norm learns from ${fits} at a time. ` +
        'Or use --bn frozen, freeze more layers, or raise --max-memory.',
    )
  onNote(`${needs}. So it is computed in ${parts} parts of at most ${micro}; the step is that of the whole batch.`)
  return micro
}

function mostThatFit(tooMany: number, fits: (images: number) => boolean): number {
  let most = 0
  let above = tooMany
  while (above - most > 1) {
    const middle = Math.floor((most + above) / 2)
    if (fits(middle)) most = middle
    else above = middle
  }
  return most
}

function stepMemory(model: Model, config: TrainConfig, limitBytes: number): StepMemory {
  const plain = graphOf(model)
  const dropping = headDroppingOf(config)
  const width = channelsOf(layerNamed(plain, plain.features).shape)
  const headBytes = (images: number) => headTrainerBytes(width, model.labels.length, model.head, dropping, images)
  const room = plannableBytes(limitBytes) - SLACK_BYTES
  if (config.mode !== 'finetune') return { roomBytes: room, bytesFor: headBytes, learnsStatistics: false }

  const graph = freezeExcept(plain, trainableLayers(plain, config))
  const parameters = planParameters(graph)
  const trainable = trainableParameters(graph, config.bnAffine)
  const statistics = batchStatistics(graph, config.bn)
  const watching = runnerBytes(graph, parameters, { input: 'bytes', outputs: [graph.features] })
  const training = runnerBytes(withDropping(graph, droppingOf(model, graph, config)), parameters, {
    input: 'bytes',
    training: { trainable, batchStatistics: statistics, loss: chosenLoss(config) },
  })
  const shared =
    parameters.bytes +
    watching(INFERENCE_BATCH) +
    averageBytes(parameters.parameters, config) +
    updaterBytes(
      { optimiser: config.opt, settings: { momentum: config.momentum } },
      trainableValues(parameters, trainable),
      trainable.size,
    )
  return {
    roomBytes: room - shared,
    bytesFor: (images) => training(images) + headBytes(images),
    learnsStatistics: statistics.size > 0,
  }
}
