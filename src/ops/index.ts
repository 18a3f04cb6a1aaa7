// The list of operators. Adding one is a file and a line here.
import { activation } from './activation.ts'
import { add } from './add.ts'
import { batchNorm } from './batch-norm.ts'
import { conv2d } from './conv2d.ts'
import { depthwiseConv2d } from './depthwise-conv2d.ts'
import { dropPath } from './drop-path.ts'
import { dropout } from './dropout.ts'
import { imageInput, tensorInput } from './input.ts'
import { linear } from './linear.ts'
import { maxout } from './maxout.ts'
import type { Op } from './op.ts'
import { adaptiveAveragePool, averagePool, globalAveragePool, maxPool } from './pooling.ts'
import { prelu } from './prelu.ts'
import { logSoftmax, softmax } from './softmax.ts'

export const ops = {
  imageInput,
  tensorInput,
  conv2d,
  depthwiseConv2d,
  batchNorm,
  activation,
  prelu,
  maxout,
  softmax,
  logSoftmax,
  add,
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
