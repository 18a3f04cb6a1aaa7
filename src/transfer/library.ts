// The verbs as the library gives them: the engine is optional, and one is made when the first verb needs it.
import { createEngine, type Engine } from '../kernels/engine.ts'
import * as deduplication from './dedupe.ts'
import * as embedding from './embed.ts'
import * as evaluation from './evaluate.ts'
import * as exporting from './export.ts'
import * as checking from './gradcheck.ts'
import * as heads from './head.ts'
import * as costing from './inspect-cost.ts'
import * as finding from './lr-find.ts'
import * as merging from './merge.ts'
import type {
  AugmentSheet,
  DedupeOptions,
  DedupeResult,
  EmbedOptions,
  EmbedResult,
  EmbedRow,
  EvaluateOptions,
  EvaluateResult,
  ExportOptions,
  ExportResult,
  Inputs,
  MergeOptions,
  MergeResult,
  Outlook,
  Prediction,
  PredictOptions,
  SearchOptions,
  SearchResult,
  ShowAugmentOptions,
  TrainOptions,
  TrainResult,
} from './options.ts'
import * as prediction from './predict.ts'
import * as searching from './search.ts'
import * as showing from './show-augment.ts'
import * as training from './train.ts'
import * as comparing from './tune/compare-models.ts'
import * as curves from './tune/learning-curve.ts'
import type { TuneResult } from './tune/results.ts'
import * as tuning from './tune/tune.ts'

type EngineOptional<T extends { readonly engine: Engine }> = Omit<T, 'engine'> & {
  readonly engine?: Engine | undefined
}

let shared: Engine | undefined

function withEngine<T extends { readonly engine?: Engine | undefined }>(options: T): T & { readonly engine: Engine } {
  const engine = options.engine ?? (shared ??= createEngine())
  return { ...options, engine }
}

/** Ends the engine that the verbs made for themselves, if they did; the next verb makes another. */
export async function close(): Promise<void> {
  const engine = shared
  shared = undefined
  await engine?.close()
}

/** Trains a classifier of an image folder's classes; see `TrainOptions`. */
export function train(options: EngineOptional<TrainOptions>): Promise<TrainResult> {
  return training.train(withEngine(options))
}

/** Looks ahead at what `train` would do and cost, and leaves nothing behind. */
export function dryRun(options: EngineOptional<TrainOptions>): Promise<Outlook> {
  return training.dryRun(withEngine(options))
}

/** Draws a sheet of training pictures as augmentation changes them; see `ShowAugmentOptions`. */
export function showAugment(options: EngineOptional<ShowAugmentOptions>): Promise<AugmentSheet> {
  return showing.showAugment(withEngine(options))
}

/** Classifies files, folders and lists of paths: one row per input, in their order. */
export function predict(
  model: string,
  inputs: Inputs,
  options: EngineOptional<PredictOptions> = {},
): AsyncGenerator<Prediction, void, undefined> {
  return prediction.predict(model, inputs, withEngine(options))
}

/** Writes feature vectors of files, folders and lists of paths to a folder. */
export function embed(model: string, inputs: Inputs, options: EngineOptional<EmbedOptions>): Promise<EmbedResult> {
  return embedding.embed(model, inputs, withEngine(options))
}

/** The same as rows, as they are computed; nothing is written. */
export function embedRows(
  model: string,
  inputs: Inputs,
  options: EngineOptional<Omit<EmbedOptions, 'out'>> = {},
): AsyncGenerator<EmbedRow, void, undefined> {
  return embedding.embedRows(model, inputs, withEngine(options))
}

/** Trains a head on vectors that `embed` wrote; see `HeadOptions`. */
export function trainHead(options: EngineOptional<heads.HeadOptions>): Promise<TrainResult> {
  return heads.trainHead(withEngine(options))
}

/** Puts the folders that `embed` wrote with `shard` together. */
export function merge(shards: readonly string[], options: EngineOptional<MergeOptions>): Promise<MergeResult> {
  return merging.merge(shards, withEngine(options))
}

/** Finds the stored vectors that are nearest to pictures, or to vectors, by cosine. */
export function search(
  vectors: string,
  inputs: Inputs,
  options: EngineOptional<SearchOptions> = {},
): Promise<SearchResult> {
  return searching.search(vectors, inputs, withEngine(options))
}

/** Groups stored vectors that are almost the same. */
export function dedupe(vectors: string, options: EngineOptional<DedupeOptions> = {}): Promise<DedupeResult> {
  return deduplication.dedupe(vectors, withEngine(options))
}

/** Measures a model on a folder per class. */
export function evaluate(
  model: string,
  data: string,
  options: EngineOptional<EvaluateOptions> = {},
): Promise<EvaluateResult> {
  return evaluation.evaluate(model, data, withEngine(options))
}

/** Searches the settings of a head, on features that are computed once; see `TuneOptions`. */
export function tune(options: EngineOptional<tuning.TuneOptions>): Promise<TuneResult> {
  return tuning.tune(withEngine(options))
}

/** Compares networks by the same head on their features; see `CompareOptions`. */
export function compareModels(options: EngineOptional<comparing.CompareOptions>): Promise<comparing.Comparison> {
  return comparing.compareModels(withEngine(options))
}

/** Trains heads on growing parts of the training pictures; see `LearningCurve`. */
export function learningCurve(options: EngineOptional<curves.LearningCurveOptions>): Promise<curves.LearningCurve> {
  return curves.learningCurve(withEngine(options))
}

/** Suggests a learning rate for a training with these options; see `LrFindOptions`. */
export function lrFind(options: EngineOptional<finding.LrFindOptions>): Promise<finding.LrFindResult> {
  return finding.lrFind(withEngine(options))
}

/** Writes a model in another format, read back and compared before it is left there. */
export function exportModel(model: string, options: EngineOptional<ExportOptions>): Promise<ExportResult> {
  return exporting.exportModel(model, withEngine(options))
}

/** Compares the gradients of a network with centred differences in float64; see `GradcheckOptions`. */
export function gradcheck(options: EngineOptional<checking.GradcheckOptions> = {}): Promise<checking.GradcheckResult> {
  return checking.gradcheck(withEngine(options))
}

/** Measures how fast a model predicts and trains here, and what memory and disk that takes. */
export function modelCost(
  model: string,
  options: EngineOptional<costing.CostOptions> = {},
): Promise<costing.ModelCost> {
  return costing.modelCost(model, withEngine(options))
}
