// The public surface of the library: re-exports only.
export { type AugmentEntry, type AugmentInput, augmentPresets } from './data/augmentations/index.ts'
export type { Preprocessing } from './data/preprocessing.ts'
export { type ErrorCode, exitCodes, RegraftError } from './errors.ts'
export { createEngine, type Engine, type EngineOptions } from './kernels/engine.ts'
export { type LoadedModel, loadModel } from './model/load.ts'
export type { Head, Model } from './model/model.ts'
export { saveModel } from './model/save.ts'
export type { EpochRecord, Listener, WorkEvent } from './train/events.ts'
export type { CheckedGradients, CheckedTensor } from './transfer/check-gradients.ts'
export type { GradcheckOptions, GradcheckResult } from './transfer/gradcheck.ts'
export {
  close,
  dedupe,
  dryRun,
  embed,
  embedRows,
  evaluate,
  exportModel,
  gradcheck,
  lrFind,
  merge,
  predict,
  search,
  showAugment,
  train,
} from './transfer/library.ts'
export type { LrFindOptions, LrFindResult } from './transfer/lr-find.ts'
export type * from './transfer/options.ts'
export { version } from './version.ts'
