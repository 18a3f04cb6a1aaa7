// The public surface of the library: re-exports only.
export type { Architecture, ArchitectureOptions } from './architectures/architecture.ts'
export { type AugmentEntry, type AugmentInput, augmentPresets } from './data/augmentations/index.ts'
export type { Preprocessing } from './data/preprocessing.ts'
export { type ErrorCode, exitCodes, RegraftError } from './errors.ts'
export { type GraphBuilder, graphBuilder } from './graph/builder.ts'
export type { Graph } from './graph/graph.ts'
export type { HubAccess, HubEvent } from './hub/hub-events.ts'
export { createEngine, type Engine, type EngineOptions } from './kernels/engine.ts'
export { type LoadedModel, loadModel } from './model/load.ts'
export type { Head, Model } from './model/model.ts'
export { saveModel } from './model/save.ts'
export type { EpochRecord, Listener, WorkEvent } from './train/events.ts'
export type { CheckedGradients, CheckedTensor } from './transfer/check-gradients.ts'
export type { GradcheckOptions, GradcheckResult } from './transfer/gradcheck.ts'
export type { HeadOptions } from './transfer/head.ts'
export type { CostOptions, ModelCost, Speed } from './transfer/inspect-cost.ts'
export {
  close,
  compareModels,
  dedupe,
  dryRun,
  embed,
  embedRows,
  evaluate,
  exportModel,
  gradcheck,
  learningCurve,
  lrFind,
  merge,
  modelCost,
  predict,
  search,
  showAugment,
  train,
  trainHead,
  tune,
} from './transfer/library.ts'
export type { LrFindOptions, LrFindResult } from './transfer/lr-find.ts'
export type * from './transfer/options.ts'
export type { ComparedModel, CompareOptions, Comparison } from './transfer/tune/compare-models.ts'
export type { LearningCurve, LearningCurveOptions } from './transfer/tune/learning-curve.ts'
export type { CurvePoint, Trial, TuneResult } from './transfer/tune/results.ts'
export type { Search, TuneOptions } from './transfer/tune/tune.ts'
export { version } from './version.ts'
