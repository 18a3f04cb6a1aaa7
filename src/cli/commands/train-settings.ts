// The options of `train`, with the defaults that the verb has.

import { activationNames, usualActivation } from '../../model/hidden-activation.ts'
import { initialiserNames } from '../../model/initialisers.ts'
import { optimiserNames } from '../../optim/optimisers.ts'
import { scheduleNames } from '../../optim/schedule.ts'
import { lossNames } from '../../runtime/loss.ts'
import { defaultFocalAlpha, defaultFocalGamma, defaultHuberDelta } from '../../transfer/loss-options.ts'
import { normalisations } from '../../transfer/normalise.ts'
import { cacheDefaults, trainDefaults } from '../../transfer/train-defaults.ts'
import { dedupe, groupBy, json, onError, overwrite, preprocessing } from '../shared-settings.ts'
import {
  augmentation,
  choice,
  number,
  numberOr,
  onOff,
  rates,
  size,
  stepsOrTime,
  text,
  timeSpan,
  wholeNumber,
} from '../values.ts'

/** Defaults that depend on what is trained: a head, layers of a trained network, a fresh network. */
function byMode(name: keyof typeof trainDefaults.head_): string {
  const { head_, finetune, scratch } = trainDefaults
  if (head_[name] === finetune[name] && finetune[name] === scratch[name]) return String(head_[name])
  return `${head_[name]}; finetune ${finetune[name]}; fresh network ${scratch[name]}`
}

/** `10GiB`, as the option reads it. */
function inGiB(bytes: number): string {
  return `${bytes / 2 ** 30}GiB`
}

/** All that `train` can be told. */
export const trainSettings = {
  data: text('<dir>', { group: 'Data', help: 'the image folder', positional: true }),
  val: text('<fraction|dir|file>', {
    group: 'Data',
    help: 'validation pictures: a share, a folder or a list file',
    fallback: "DATA's val folder, else 0.2",
  }),
  trainList: text('<file>', { group: 'Data', help: 'train on the pictures named in this file only' }),
  groupBy,
  dedupe,
  test: text('<dir>', { group: 'Data', help: 'measure the best model on this folder at the end' }),
  seed: wholeNumber(
    { from: 0, to: Number.MAX_SAFE_INTEGER },
    { group: 'Data', help: 'of all that is random', fallback: String(trainDefaults.seed) },
  ),
  onError,
  strict: onOff({ group: 'Data', help: 'stop with 3 before the first epoch when any picture is bad' }),
  maxBad: number(
    { from: 0, to: 100 },
    { group: 'Data', help: 'largest share of unreadable pictures, in percent', fallback: String(trainDefaults.maxBad) },
  ),

  model: text('<model>', {
    group: 'Model',
    help: "folder, weight file, card's name, or 'default'",
    fallback: trainDefaults.model,
  }),
  mode: choice(['head', 'features', 'finetune'], {
    group: 'Model',
    help: 'a new head, a head solved on features (features), or layers of the network too (finetune)',
    fallback: trainDefaults.mode,
  }),
  pretrained: onOff({ group: 'Model', help: 'begin with random weights', shownNegated: true }),
  head: text('<head>', {
    group: 'Head',
    help: 'new head: linear, mlp:WIDTHxDEPTH, maxout:WIDTHxK',
    fallback: trainDefaults.head,
  }),
  activation: text('<name>', {
    group: 'Head',
    help: `of the hidden layers of an mlp: ${activationNames.join(', ')}; leaky-relu:0.1, elu:1 and softplus:1 take a number, prelu learns a slope for each unit, prelu:shared one`,
    fallback: usualActivation,
  }),
  init: text('<name>', {
    group: 'Head',
    help: `how fresh weights begin (a new head, and all with --no-pretrained): ${initialiserNames.join(', ')}; after a comma how fresh biases do, as in he-normal,constant:0.1`,
    fallback: 'linear layers normal:0.01, convolutions he-normal-fan-out; biases 0',
  }),
  solver: choice(['lbfgs', 'ridge', 'knn', 'centroid', 'gradient'], {
    group: 'Head',
    help: 'with --mode features, how the head is found',
    fallback: 'lbfgs; gradient for heads with hidden layers',
  }),
  strength: numberOr(
    'auto',
    { from: 0, above: true },
    {
      group: 'Head',
      help: "of the solved head (lbfgs: scikit-learn's C, ridge: 1/alpha): smaller holds the weights closer to zero; auto: by cross-validation on the training part",
      fallback: `${trainDefaults.strength}; ridge auto`,
    },
  ),
  neighbours: wholeNumber(
    { from: 1, to: 10_000 },
    { group: 'Head', help: 'how many vote with --solver knn', fallback: 'by cross-validation on the training part' },
  ),
  pca: wholeNumber(
    { from: 1, to: 4096 },
    { group: 'Head', help: 'with --mode features, learn from so many principal components of the features' },
  ),
  whiten: onOff({ group: 'Head', help: 'divide each component by its standard deviation (with --pca)' }),
  unfreeze: text('<layers>', {
    group: 'Layers',
    help: 'layers to train: last:N, stage:NAME+, all, or a pattern',
    fallback: `${trainDefaults.unfreeze}; all with --no-pretrained`,
  }),
  freeze: text('<pattern>', { group: 'Layers', help: 'layers to keep, of those unfrozen' }),
  bn: choice(['frozen', 'train-unfrozen', 'train', 'adapt'], {
    group: 'Layers',
    help: 'where batch norm learns its statistics; adapt: once, on the training pictures',
    fallback: 'frozen; train with --no-pretrained',
  }),
  bnAffine: choice(['train', 'frozen'], {
    group: 'Layers',
    help: 'scale and shift of batch norm in unfrozen layers',
    fallback: trainDefaults.bnAffine,
  }),

  epochs: wholeNumber(
    { from: 1, to: 1_000_000 },
    { group: 'Training', help: 'times that all pictures are seen', fallback: byMode('epochs') },
  ),
  batchSize: wholeNumber(
    { from: 1, to: 65_536 },
    { group: 'Training', help: 'pictures per step', fallback: String(trainDefaults.batchSize) },
  ),
  accum: wholeNumber(
    { from: 1, to: 65_536 },
    {
      group: 'Training',
      help: 'batches of a step, whose gradients are added up',
      fallback: String(trainDefaults.accum),
    },
  ),
  microBatch: wholeNumber(
    { from: 1, to: 65_536 },
    {
      group: 'Training',
      help: 'pictures of a batch that are computed at a time',
      fallback: 'all, or equal parts that fit into --max-memory',
    },
  ),
  opt: choice(optimiserNames, {
    group: 'Rate and optimiser',
    help: 'optimiser',
    fallback: trainDefaults.opt,
  }),
  lr: rates({
    group: 'Rate and optimiser',
    help: 'learning rate; A:B from A in the first layers that train to B in the head',
    fallback: `${byMode('lr')}; 1 with adadelta`,
  }),
  layerDecay: number(
    { from: 0, to: 1, above: true },
    { group: 'Rate and optimiser', help: 'multiplies the rate from block to block, from the head on', fallback: '1' },
  ),
  gradual: wholeNumber(
    { from: 1, to: 1_000_000 },
    {
      group: 'Layers',
      help: 'epochs after which one more block trains, from the head on',
      fallback: 'all from the beginning',
    },
  ),
  ema: number(
    { from: 0, to: 1, above: true, below: true },
    {
      group: 'Training',
      help: 'validate and save an average of the weights that keeps this much of itself from step to step, such as 0.999',
      fallback: 'none',
    },
  ),
  momentum: number(
    { from: 0, to: 1, below: true },
    {
      group: 'Rate and optimiser',
      help: 'of momentum, nesterov and rmsprop',
      fallback: `${trainDefaults.momentum}; rmsprop 0`,
    },
  ),
  weightDecay: number(
    { from: 0 },
    { group: 'Regularisation', help: "PyTorch's meaning; decoupled in adamw", fallback: byMode('weightDecay') },
  ),
  l2: number(
    { from: 0 },
    {
      group: 'Regularisation',
      help: 'adds L/(2n) times the sum of squared weights to the loss, n training pictures',
      fallback: String(trainDefaults.l2),
    },
  ),
  l1: number(
    { from: 0 },
    {
      group: 'Regularisation',
      help: 'the same with L/n and absolute values: many weights become nearly zero',
      fallback: String(trainDefaults.l1),
    },
  ),
  sched: choice(scheduleNames, {
    group: 'Rate and optimiser',
    help: 'how the learning rate goes on',
    fallback: trainDefaults.sched,
  }),
  decayRate: number(
    { from: 0, above: true },
    {
      group: 'Rate and optimiser',
      help: 'what step, multistep, exponential and plateau multiply the rate by; the strength of inverse, the power of polynomial',
      fallback: 'step, multistep 0.1; plateau 0.5; others by the length of the training',
    },
  ),
  decayEpochs: number(
    { from: 0 },
    {
      group: 'Rate and optimiser',
      help: 'epochs between two steps; those without a lower loss that plateau puts up with; the first cycle of restarts',
      fallback: 'plateau 2; others by the length of the training',
    },
  ),
  decayMilestones: text('<epochs>', {
    group: 'Rate and optimiser',
    help: 'epochs after which multistep lowers the rate, as in 10,15',
    fallback: 'after a half and three quarters',
  }),
  warmupEpochs: number(
    { from: 0 },
    { group: 'Rate and optimiser', help: 'epochs in which the rate rises', fallback: byMode('warmupEpochs') },
  ),
  warmupHead: wholeNumber(
    { from: 0 },
    {
      group: 'Layers',
      help: 'epochs of the head alone, before the other layers',
      fallback: 'a linear head is solved exactly',
    },
  ),
  loss: choice(lossNames, {
    group: 'Loss',
    help: 'what training makes small; bce is for pictures that may show none of the classes, focal and sigmoid-focal for rare classes, the others are for comparison',
    fallback: trainDefaults.loss,
  }),
  focalGamma: number(
    { from: 0 },
    {
      group: 'Loss',
      help: 'of the focal losses: how much less pictures count that are known well',
      fallback: String(defaultFocalGamma),
    },
  ),
  focalAlpha: number(
    { from: 0, to: 1 },
    {
      group: 'Loss',
      help: 'of sigmoid-focal: how much labels count that are there; the others 1 less it',
      fallback: String(defaultFocalAlpha),
    },
  ),
  huberDelta: number(
    { from: 0, above: true },
    {
      group: 'Loss',
      help: 'of huber and smooth-l1 (its beta): difference from which on the loss grows straight; of numbers, in standard deviations',
      fallback: String(defaultHuberDelta),
    },
  ),
  smoothing: number(
    { from: 0, to: 1, below: true },
    {
      group: 'Loss',
      help: 'label smoothing, of the losses ce, bce, focal and sigmoid-focal',
      fallback: `${byMode('smoothing')}; 0 with the focal losses`,
    },
  ),
  clipGrad: number(
    { from: 0 },
    { group: 'Rate and optimiser', help: 'largest norm of the gradient', fallback: byMode('clipGrad') },
  ),
  dropout: number(
    { from: 0, to: 1, below: true },
    {
      group: 'Regularisation',
      help: 'share of the values left out at random before the classifier, and between hidden layers; when training fits its own pictures too well',
      fallback: String(trainDefaults.dropout),
    },
  ),
  dropconnect: number(
    { from: 0, to: 1, below: true },
    {
      group: 'Regularisation',
      help: "share of the weights of the head's layers that each step leaves out; an alternative to dropout in wide heads",
      fallback: String(trainDefaults.dropconnect),
    },
  ),
  dropPath: number(
    { from: 0, to: 1, below: true },
    {
      group: 'Regularisation',
      help: 'in finetune: share of the pictures that go around a residual branch (stochastic depth), growing up to the last block; for deep networks that train as a whole',
      fallback: String(trainDefaults.dropPath),
    },
  ),
  classWeights: text('<auto|file>', {
    group: 'Loss',
    help: 'how much the loss of each class counts: auto for small classes more, or a JSON file, {"rose": 2, "tulip": 1}',
    fallback: 'all alike',
  }),
  sampler: choice(['all', 'balanced'], {
    group: 'Training',
    help: 'pictures of an epoch: each once, or all classes equally often',
    fallback: trainDefaults.sampler,
  }),
  augment: augmentation({
    group: 'Augmentation',
    help: 'random changes of the pictures: none, light, medium, strong, or a YAML file that lists them',
    fallback: 'light in finetune, else none',
  }),
  mixup: number(
    { from: 0 },
    {
      group: 'Augmentation',
      help: 'in finetune: blends pictures and labels of a step in pairs, by shares from Beta(A, A); 0.2 is usual, in long trainings; 0 = off',
      fallback: String(trainDefaults.mixup),
    },
  ),
  cutmix: number(
    { from: 0 },
    {
      group: 'Augmentation',
      help: 'the same with boxes of pictures put into others; 1 is usual; with both, half of the steps each; 0 = off',
      fallback: String(trainDefaults.cutmix),
    },
  ),
  reprob: number(
    { from: 0, to: 1 },
    {
      group: 'Augmentation',
      help: 'in finetune: probability that a box of a picture is filled with the mean colour (random erasing); when things may be partly hidden',
      fallback: String(trainDefaults.reprob),
    },
  ),
  cache: text('<off|memory|dir>', {
    group: 'Cache',
    help: 'in finetune: where pictures are kept as the first layer that trains sees them, so that what is frozen computes each once; changes no result',
    fallback: 'memory',
  }),
  cacheSize: size(
    { from: 0, to: 2 ** 50, words: 'a size' },
    {
      group: 'Cache',
      help: 'most of it',
      fallback: `${inGiB(cacheDefaults.memoryBytes)} in memory, ${inGiB(cacheDefaults.folderBytes)} in a folder`,
    },
  ),
  cacheVariants: wholeNumber(
    { from: 1, to: 1_000_000 },
    {
      group: 'Cache',
      help: 'versions of each picture that --augment makes and the cache can keep, one after the other',
      fallback: 'a new one in each epoch',
    },
  ),
  patience: wholeNumber(
    { from: 0 },
    { group: 'Training', help: 'epochs without a better result; 0 = off', fallback: String(trainDefaults.patience) },
  ),
  onNan: choice(['stop', 'skip', 'lower-lr'], {
    group: 'Training',
    help: 'when loss or gradient are not finite: end, leave the step out, or go back with a tenth of the rate',
    fallback: trainDefaults.onNan,
  }),
  time: timeSpan({ group: 'Checkpoints', help: 'stop after this time, saved, with exit code 75' }),
  minAccuracy: number({ from: 0, to: 1 }, { group: 'Training', help: 'exit with 5 when the best accuracy is below' }),

  ...preprocessing,
  normalize: choice(normalisations, {
    group: 'Pictures',
    help: 'pixels less the mean of their channel over the training pictures, over its deviation too, less the mean picture, or from 0 to 1 as they are; for networks from random weights, as others know the numbers that they were trained with',
    fallback: trainDefaults.normalize,
  }),

  checks: onOff({
    group: 'Output',
    help: 'train at once, without looking ahead for a few seconds: first loss, what can be learnt, memory, disk, time',
    shownNegated: true,
  }),
  dryRun: onOff({ group: 'Output', help: 'look ahead, say what training would take, and stop there' }),
  showAugment: text('<file>', {
    group: 'Augmentation',
    help: 'draw training pictures as --augment changes them into a .jpg, .png or .webp file, and stop there',
  }),
  out: text('<dir>', { group: 'Output', help: 'run folder', fallback: 'runs/<data>-<n>' }),
  overwrite,
  saveEvery: stepsOrTime({
    group: 'Checkpoints',
    help: 'how often a checkpoint is written within an epoch: steps (200) or a time (90s, 5m, 1h)',
    fallback: trainDefaults.saveEvery,
  }),
  keepCheckpoints: wholeNumber(
    { from: 1, to: 1_000_000 },
    {
      group: 'Checkpoints',
      help: "the newest that are kept, besides the last epoch's end",
      fallback: String(trainDefaults.keepCheckpoints),
    },
  ),
  monitor: choice(['off', 'light', 'full'], {
    group: 'Output',
    help: 'watch a few steps of each epoch: the size of updates (light), and how activations and gradients are spread (full); changes no result',
    fallback: trainDefaults.monitor,
  }),
  tensorboard: onOff({ group: 'Output', help: 'leave an event file for TensorBoard in tensorboard/' }),
  resume: text('<run>', { group: 'Checkpoints', help: 'go on with an unfinished run, as it was configured' }),
  allowBuildChange: onOff({
    group: 'Checkpoints',
    help: 'resume although the kernels differ; results change in the last bits',
  }),
  json,
}
