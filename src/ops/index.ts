// The list of operators. Adding one is a file and a line here.
import { activation } from './activation.ts'
import { add } from './add.ts'
import { attention } from './attention.ts'
import { batchNorm } from './batch-norm.ts'
import { channelShuffle, concat, slice } from './channels.ts'
import { conv2d } from './conv2d.ts'
import { depthwiseConv2d } from './depthwise-conv2d.ts'
import { dropPath } from './drop-path.ts'
import { dropout } from './dropout.ts'
import { imageInput, tensorInput } from './input.ts'
import { layerNorm } from './layer-norm.ts'
import { linear } from './linear.ts'
import { maxout } from './maxout.ts'
import { meanImage } from './mean-image.ts'
import type { Op } from './op.ts'
import { adaptiveAveragePool, averagePool, globalAveragePool, maxPool } from './pooling.ts'
import { prelu } from './prelu.ts'
import { layerScale, scale } from './scale.ts'
import { logSoftmax, softmax } from './softmax.ts'
import { classToken, firstToken, positions } from './tokens.ts'

export const ops = {
  imageInput,
  tensorInput,
  meanImage,
  conv2d,
  depthwiseConv2d,
  batchNorm,
  activation,
  prelu,
  maxout,
  softmax,
  logSoftmax,
  add,
  concat,
  slice,
  channelShuffle,
  scale,
  layerScale,
  layerNorm,
  classToken,
  positions,
  attention,
  firstToken,
  dropout,
  dropPath,
  linear,
  maxPool,
  averagePool,
  adaptiveAveragePool,
  globalAveragePool,
}

export type OpName = keyof typeof ops

/** The attributes that an operator takes. */
export type AttributesOf<K extends OpName> = (typeof ops)[K] extends Op<infer A> ? A : never
