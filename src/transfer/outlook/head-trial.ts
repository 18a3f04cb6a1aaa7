import { parameterName, parametersOf } from '../../graph/graph.ts'
import type { Model } from '../../model/model.ts'
import { penaltyStrength } from '../../optim/penalty.ts'
import { createUpdater } from '../../optim/updater.ts'
import { gatherGradient } from '../../train/step.ts'
import type { Vectors } from '../head-trainer.ts'
import { solveHead } from '../linear-solvers.ts'
import { isSolvable } from '../loss-options.ts'
import { parseRates } from '../rates.ts'
import { INFERENCE_BATCH, loadTensors, openInference, openSession, readTensors } from '../session.ts'
import { isSolved, trainDefaults } from '../train-defaults.ts'
import { solveOptions, trainerFor } from '../train-on-features.ts'
import type { Work } from '../train-work.ts'
import { wholePass } from '../whole-network.ts'
import { sampleVectors } from './sample.ts'
import { decayPenalty, lossOf, overfit, type Trial, timed } from './trial.ts'

/** Vectors that a head is solved on in a trial: as many as are computed at a time. */
const SOLVED = 1024
const WARM_EPOCHS = 12
const TIMED_EPOCHS = 8

/** @param sample  the work with a handful of pictures  @param full  pictures that there are */
export async function tryHead(
  sample: Work,
  full: { readonly train: number; readonly val: number },
): Promise<Trial | undefined> {
  const { options, config, model } = sample
  const { engine, signal } = options
  const trunkModel: Model = { ...model, head: { kind: 'none' }, labels: [] }
  const trunk = await openSession(engine, trunkModel)
  let found: Awaited<ReturnType<typeof sampleVectors>>
  try {
    const runner = await openInference(engine, trunk, INFERENCE_BATCH, [trunk.graph.features], signal)
    try {
      found = await sampleVectors(sample, wholePass(sample, runner))
    } finally {
      runner.close()
    }
  } finally {
    trunk.close()
  }
  const { vectors, secondsPerPicture } = found
  if (vectors === undefined) return undefined
  const classes = model.labels.length
  const solved = isSolved(config)
  const trainer = await trainerFor(withoutComponents(sample), vectors.train, 1)
  try {
    const { runner, store, graph } = trainer
    const trainable = new Set(
      graph.layers.flatMap((layer) => parametersOf(layer).map((spec) => parameterName(layer, spec))),
    )
    const step = { engine, runner, store, classes, signal }
    const { value: first } = await trainer.batches(1, 0)[Symbol.asyncIterator]().next()
    if (!first) throw new Error('an epoch without a batch')
    const updater = createUpdater(engine, runner, store, {
      optimiser: config.opt,
      settings: { momentum: config.momentum },
      weightDecay: config.weightDecay,
      penalty: penaltyStrength(config, full.train),
      clipNorm: config.clipGrad,
    })
    const beginning = await readTensors(store)
    let firstLoss: number
    let epochs = 0
    const strength = config.strength === 'auto' ? trainDefaults.strength : config.strength
    const decay = solved ? 1 / (strength * full.train) : config.weightDecay
    let penalty = decayPenalty(engine, store, trainable, decay)
    try {
      firstLoss = await lossOf(first, updater, step)
      penalty += await updater.penalty()
      if (!solved) {
        let steps = 0
        const epoch = async () => {
          const batches = trainer.batches(1, 0)[Symbol.asyncIterator]()
          const pictures = vectors.train.labels.length
          for (let at = 0; at < pictures; at += config.batchSize) {
            const count = Math.min(config.batchSize, pictures - at)
            await gatherGradient(batches, count, { ...step, updater, smoothing: config.smoothing })
            updater.setStep(parseRates(config.lr).head, steps++)
            await updater.update()
          }
        }
        // A step takes so little time that it pays first for what is compiled.
        for (let repeat = 0; repeat < WARM_EPOCHS; repeat++) await epoch()
        const trained = await timed(async () => {
          for (let repeat = 0; repeat < TIMED_EPOCHS; repeat++) await epoch()
        })
        const validated = await timed(() => trainer.evaluate(repeated(vectors.validation, full.val), signal))
        epochs =
          config.epochs *
          ((trained.seconds / TIMED_EPOCHS / vectors.train.labels.length) * full.train + validated.seconds)
      }
    } finally {
      updater.close()
    }
    await loadTensors(store, beginning)
    const overfitting = await overfit(first, step, 1e-2, 200)
    return {
      firstLoss,
      penalty,
      overfitting,
      seconds: {
        features: (full.train + full.val) * secondsPerPicture,
        head: solved ? await secondsOfHead(sample, vectors, full.train) : 0,
        epochs,
        end: 24 * secondsPerPicture,
      },
      // The vectors, once more standardised, and in features mode once more for the solver.
      growthBytes: (full.train * 3 + full.val) * vectors.train.width * 4,
    }
  } finally {
    trainer.close()
  }
}

/** Seconds that the head takes before the trunk moves, or where nothing else trains. */
export async function secondsOfHead(
  sample: Work,
  { train }: { readonly train: Vectors },
  pictures: number,
): Promise<number> {
  const { config, model, options } = sample
  const rows = Math.min(pictures, SOLVED)
  const many = repeated(train, rows)
  const trainer = await trainerFor(withoutComponents(sample), many, 1)
  try {
    const gradual = model.head.kind !== 'linear' || !isSolvable(config.loss)
    if (gradual || (config.mode === 'finetune' && config.warmupHead !== null)) {
      const epochs = config.warmupHead ?? 10
      const { seconds } = await timed(async () => {
        const updater = createUpdater(options.engine, trainer.runner, trainer.store, {
          optimiser: 'adamw',
          weightDecay: 0.05,
          clipNorm: 0,
        })
        try {
          const batches = trainer.batches(1, 0)[Symbol.asyncIterator]()
          const step = {
            runner: trainer.runner,
            updater,
            classes: model.labels.length,
            smoothing: 0,
            signal: options.signal,
          }
          for (let at = 0; at < rows; at += config.batchSize) {
            await gatherGradient(batches, Math.min(config.batchSize, rows - at), step)
            updater.setStep(1e-3, at)
            await updater.update()
          }
        } finally {
          updater.close()
        }
      })
      return (epochs * seconds * pictures) / rows
    }
    if (config.solver === 'knn') return 0
    // Cross-validation solves it again and again, from one strength to the next.
    const times = config.strength === 'auto' && config.solver === 'lbfgs' ? 20 : 1
    const strength = times > 1 ? trainDefaults.strength : config.strength
    const { seconds } = await timed(() =>
      solveHead(trainer, { ...solveOptions(sample), strength, classWeights: undefined, listener: undefined }),
    )
    return (times * seconds * pictures) / rows
  } finally {
    trainer.close()
  }
}

/** A few pictures have fewer components than are wanted of all. */
function withoutComponents(sample: Work): Work {
  return { ...sample, config: { ...sample.config, pca: null, whiten: false } }
}

/** Vectors again and again, until there are so many. */
function repeated(vectors: Vectors, rows: number): Vectors {
  const { values, labels, width, paths } = vectors
  const many = { values: new Float32Array(rows * width), labels: new Int32Array(rows), paths: new Array<string>(rows) }
  for (let row = 0; row < rows; row++) {
    const from = row % labels.length
    many.values.set(values.subarray(from * width, (from + 1) * width), row * width)
    many.labels[row] = labels[from] ?? 0
    many.paths[row] = paths[from] ?? ''
  }
  return { ...many, width }
}
