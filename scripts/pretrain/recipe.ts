// What the embedded network is and how it is trained. A change here is another training.
import { type ThumbnailShape, thumbnailShapes } from '../../src/architectures/thumbnail-resnet.ts'
import { completeEntries } from '../../src/data/augmentations/index.ts'
import type { Preprocessing } from '../../src/data/preprocessing.ts'
import type { TrainOptions } from '../../src/transfer/options.ts'

/** Epochs at one size of pictures. Small pictures come first: most is learnt from them, at little cost. */
export interface Stage extends Pick<TrainOptions, 'decayRate' | 'epochs' | 'lr' | 'sched' | 'warmupEpochs'> {
  /** Pixels of a side. */
  readonly size: number
}

export interface Recipe {
  readonly network: ThumbnailShape
  /** Each begins with the weights that the one before has ended with. */
  readonly stages: readonly Stage[]
  readonly training: Pick<
    TrainOptions,
    'augment' | 'batchSize' | 'clipGrad' | 'ema' | 'momentum' | 'opt' | 'seed' | 'smoothing' | 'weightDecay'
  >
}

/** Pixels of a side of the packed pictures. */
export const PACKED_SIZE = 64

/** The name that the network has in the product. */
export const ARCHITECTURE = 'regraft_resnet14'

export const recipe: Recipe = {
  network: thumbnailShapes[ARCHITECTURE],
  stages: [
    { size: 48, epochs: 12, lr: 0.15, sched: 'exponential', decayRate: 0.93, warmupEpochs: 1 },
    { size: 64, epochs: 10, lr: 0.06, sched: 'cosine', warmupEpochs: 0 },
  ],
  training: {
    batchSize: 128,
    opt: 'sgd',
    momentum: 0.9,
    weightDecay: 3e-4,
    clipGrad: 5,
    smoothing: 0.1,
    ema: 0.999,
    seed: 0,
    augment: completeEntries([{ randomResizedCrop: [0.35, 1] }, 'horizontalFlip'], 'the recipe'),
  },
}

/** How pictures become the input of the network; mean and standard deviation are the usual ones of ImageNet. */
export function preprocessingOf(size: number): Preprocessing {
  return {
    width: size,
    height: size,
    cropPct: 1,
    interpolation: 'bicubic',
    cropMode: 'center',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  }
}
