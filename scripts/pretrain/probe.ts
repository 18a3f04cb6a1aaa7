// What a network is worth on photos that it has not seen: a head on its features, against the same network untrained and against colours alone.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { loadData } from '../../src/data/load-data.ts'
import { loadBatches } from '../../src/data/loader.ts'
import type { Sample } from '../../src/data/sample.ts'
import type { Engine } from '../../src/kernels/engine.ts'
import { freshModel } from '../../src/model/load.ts'
import { saveModel } from '../../src/model/save.ts'
import { metricsOf } from '../../src/train/classification.ts'
import { createHeadTrainer, type Vectors } from '../../src/transfer/head-trainer.ts'
import { solveHead } from '../../src/transfer/linear-solvers.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'
import { train } from '../../src/transfer/train.ts'
import { preprocessingOf } from './recipe.ts'

/** Steps of each colour in a histogram of colours. */
const STEPS = 8
const HISTOGRAM_SIZE = 64
const BATCH = 64

export interface ProbeOptions {
  readonly engine: Engine
  readonly model: string
  /** Folder with a folder for each class. */
  readonly data: string
  readonly trainList?: string | undefined
  readonly val?: string | undefined
  readonly size: number
  readonly seed: number
  /** Options of `train` that fine-tune, where that is asked for too. */
  readonly finetune?: Partial<TrainOptions> | undefined
}

/** Shares of the validation pictures that are told apart. */
export interface Probe {
  /** By the default head on the features of the network as it is. */
  readonly features: number
  /** By the same from random weights. */
  readonly untrained: number
  /** By logistic regression on histograms of 512 colours, its strength found by cross-validation. */
  readonly colours: number
  readonly finetuned?: number
}

/** @throws RegraftError as `train` does */
export async function probe(options: ProbeOptions): Promise<Probe> {
  const { engine, model, data, trainList, val, size, seed, finetune } = options
  const folder = await mkdtemp(path.join(tmpdir(), 'regraft-probe-'))
  const lists = { ...(trainList === undefined ? {} : { trainList }), ...(val === undefined ? {} : { val }) }
  const accuracy = async (name: string, from: string, how: Partial<TrainOptions> & Pick<TrainOptions, 'mode'>) => {
    const out = path.join(folder, name)
    const { best } = await train({
      engine,
      data,
      ...lists,
      model: from,
      imgSize: size,
      seed,
      out,
      checks: false,
      ...how,
    })
    return best.valAccuracy
  }
  try {
    const start = path.join(folder, 'start')
    await saveModel(await freshModel(model, seed), start)
    return {
      features: await accuracy('features', model, { mode: 'features' }),
      untrained: await accuracy('untrained', start, { mode: 'features' }),
      colours: await colours(options),
      ...(finetune && { finetuned: await accuracy('finetune', model, { mode: 'finetune', ...finetune }) }),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function colours({ engine, data, trainList, val, seed }: ProbeOptions): Promise<number> {
  const { classes, train: pictures, validation } = await loadData(data, { trainList, validation: val, seed })
  const trainer = await createHeadTrainer({
    engine,
    vectors: await histograms(pictures),
    classes: classes.length,
    head: { kind: 'linear' },
    classifier: 'classifier',
    seed,
    batchSize: BATCH,
    sampler: 'all',
    microBatch: BATCH,
    space: { pca: null, whiten: false },
    dropping: { dropout: 0, dropConnect: 0, paths: new Map() },
    stepVectors: BATCH,
  })
  try {
    const how = { engine, solver: 'lbfgs', strength: 'auto', classes: classes.length, classWeights: undefined } as const
    await solveHead(trainer, { ...how, seed })
    const { logits, labels } = await trainer.evaluate(await histograms(validation), undefined)
    return metricsOf(logits, labels, classes.length).accuracy
  } finally {
    trainer.close()
  }
}

/** f32[pictures, 512]: square roots of the shares that the colours have in the middle of a picture. */
async function histograms(samples: readonly Sample[]): Promise<Vectors> {
  const width = STEPS ** 3
  const values: number[] = []
  const labels: number[] = []
  const paths: string[] = []
  const step = 256 / STEPS
  const level = (byte: number | undefined) => Math.floor((byte ?? 0) / step)
  for await (const batch of loadBatches({
    samples,
    preprocessing: preprocessingOf(HISTOGRAM_SIZE),
    batchSize: BATCH,
  })) {
    const size = batch.bytes.length / batch.count
    for (const [row, index] of batch.indices.entries()) {
      const counts = new Float64Array(width)
      for (let at = row * size; at < (row + 1) * size; at += 3) {
        const [red, green, blue] = batch.bytes.subarray(at, at + 3)
        const bin = (level(red) * STEPS + level(green)) * STEPS + level(blue)
        counts[bin] = (counts[bin] ?? 0) + 1
      }
      for (const count of counts) values.push(Math.sqrt((3 * count) / size))
      labels.push(batch.labels[row] ?? 0)
      paths.push(samples[index]?.path ?? '')
    }
  }
  return { values: Float32Array.from(values), labels: Int32Array.from(labels), width, paths }
}
