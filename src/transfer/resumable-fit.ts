// A training that can be stopped at any step and gone on with: what fine-tuning and the training of a head share.
import { type Checkpointed, readEpochStart, tidyCheckpoints, writeCheckpoint } from '../train/checkpoint.ts'
import type { Listener } from '../train/events.ts'
import { fit } from '../train/fit.ts'
import { forwardTraces } from '../train/forward-traces.ts'
import { nothingDone, type Progress, positionName } from '../train/progress.ts'
import { savePoints } from '../train/save-points.ts'
import { createMonitor, type Monitor } from './monitor/monitor.ts'
import { tensorBoardLog } from './monitor/tensorboard-log.ts'
import { parseRates } from './rates.ts'
import { writeHistory } from './run-folder.ts'
import { parseSaveEvery } from './save-every.ts'
import { scheduleOf } from './schedule-options.ts'
import { allFinite, loadTensors, readTensors } from './session.ts'
import type { GradualWork } from './train-work.ts'
import type { Trained, Trainee } from './trainee.ts'

/**
 * Trains as the work's configuration says, from where it was left or from the beginning, and keeps checkpoints.
 * @throws as `fit`, and RegraftError of the disk
 */
export async function fitResumably(work: GradualWork, trainee: Trainee): Promise<Trained> {
  if (work.instead) return await work.instead(trainee)
  const { config, options, out, resumed } = work
  const { engine, listener } = options
  const { runner, updater, average, store, changing, counters } = trainee
  const points = savePoints(parseSaveEvery(options.saveEvery ?? config.saveEvery))

  const restore = async (state: Checkpointed): Promise<void> => {
    await loadTensors(store, state.weights)
    await updater.restore(state.optimiser)
    await average?.restore(state.optimiser)
    for (const [name, count] of state.counters) counters.set(name, count)
  }
  if (resumed) {
    await restore(resumed)
    await tidyCheckpoints(out)
  } else average?.begin()
  let best = resumed?.best ?? (await trainee.weights())
  let bestCounters: ReadonlyMap<string, number> = resumed?.bestCounters ?? new Map(counters)
  let saved = resumed && positionName(resumed.progress)

  const save = async (progress: Progress): Promise<void> => {
    // Asked to stop where it has just saved, it has nothing to add.
    if (work.passing || saved === positionName(progress)) return
    const names = changing.map(({ name }) => name)
    await writeCheckpoint(
      out,
      {
        progress,
        origin: work.origin,
        weights: await readTensors(store, names),
        counters,
        optimiser: new Map([...(await updater.state()), ...((await average?.state()) ?? [])]),
        best,
        bestCounters,
      },
      options.keepCheckpoints ?? config.keepCheckpoints,
    )
    saved = positionName(progress)
    points.saved()
  }
  if (!resumed) await save(nothingDone)

  const stepsPerEpoch = Math.ceil(trainee.pictures / (config.batchSize * config.accum))
  const tensorBoard = (options.tensorboard ?? config.tensorboard) ? tensorBoardLog(out, stepsPerEpoch) : undefined
  const both: Listener | undefined = tensorBoard
    ? (event) => {
        tensorBoard.listener(event)
        listener?.(event)
      }
    : listener
  const level = options.monitor ?? config.monitor
  let monitor: Monitor | undefined
  try {
    if (level !== 'off')
      monitor = await createMonitor({
        engine,
        level,
        out,
        runner,
        store,
        stepsPerEpoch,
        batch: () => firstOf(trainee.probe(work.budget.signal())),
        note: (message) => listener?.({ type: 'note', message }),
        onSpread: tensorBoard?.onSpread,
      })
    const result = await fit({
      phase: trainee.phase,
      runner,
      updater,
      average,
      traces: forwardTraces(
        engine,
        changing.filter(({ spec }) => spec.kind === 'statistic'),
        counters,
      ),
      classes: work.data.classes.length,
      epochs: config.epochs,
      pictures: trainee.pictures,
      batchSize: config.batchSize,
      accumulate: config.accum,
      rate: parseRates(config.lr).head,
      schedule: scheduleOf(config),
      warmupEpochs: config.warmupEpochs,
      smoothing: config.smoothing,
      classWeights: work.classWeights,
      patience: config.patience,
      onNan: config.onNan,
      batches: trainee.batches,
      validate: trainee.validate,
      isFinite: () => allFinite(engine, [...changing, ...(average?.places ?? [])]),
      from: resumed?.progress,
      keeper: {
        due: ({ stepsDone }) => points.due(stepsDone),
        async save(progress) {
          if (progress.running === undefined && !work.passing) await writeHistory(out, progress.history)
          await work.flushEvents()
          await tensorBoard?.flush()
          await save(progress)
        },
        async keepBest() {
          best = await trainee.weights()
          bestCounters = new Map(counters)
          await trainee.onBest?.(best, bestCounters)
        },
        async rewind(epochsDone) {
          const start = await readEpochStart(out, epochsDone)
          await restore(start)
          await updater.discard()
          saved = undefined
          return start.progress
        },
      },
      budget: work.budget,
      onComputed(milliseconds) {
        work.timing.computeMs += milliseconds
      },
      listener: both,
      observer: monitor,
    })
    await monitor?.flush()
    return { ...result, best, bestCounters }
  } catch (error) {
    // The first error is the one to report.
    await monitor?.flush().catch(() => undefined)
    throw error
  } finally {
    monitor?.close()
  }
}

/** Nobody waits for what comes after it. */
async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  const iterator = items[Symbol.asyncIterator]()
  const { value, done } = await iterator.next()
  iterator.return?.().catch(() => undefined)
  return done ? undefined : value
}
