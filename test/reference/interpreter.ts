// A network as plain loops in float64, straight from the definitions: the truth that runs of the kernels are compared with.
// Values are [N, …shape] with the channels last and without padding; parameters are as in files.

import type { Graph, Layer } from '../../src/graph/graph.ts'
import type { ActivationAttributes } from '../../src/ops/activation.ts'
import { imageShape } from '../../src/ops/op.ts'
import { slide, type Window } from '../../src/ops/window.ts'
import { activated, kinksOf } from './activations.ts'

export interface Interpretation {
  /** Output of each layer, by its name. */
  readonly outputs: ReadonlyMap<string, Float64Array>
  /** Running mean and variance after this pass, of the batch norms that used the batch's statistics. */
  readonly statistics: ReadonlyMap<string, Float64Array>
  /** A digest of which side of every kink each value was on: equal for two passes when no value crossed one. */
  readonly sides: number
}

/**
 * @param parameters       by full name, in file layout
 * @param input            the normalised pictures, or what enters otherwise
 * @param batchStatistics  names of the batch norms that use the statistics of the batch
 */
export function interpret(
  graph: Graph,
  parameters: ReadonlyMap<string, Float64Array>,
  input: Float64Array,
  images: number,
  batchStatistics: ReadonlySet<string> = new Set(),
): Interpretation {
  const outputs = new Map<string, Float64Array>()
  const statistics = new Map<string, Float64Array>()
  const sides = new Sides()
  for (const layer of graph.layers) {
    const inputs = layer.inputs.map((name) => outputs.get(name) ?? missing(name))
    const context: Context = {
      images,
      parameter: (name) => parameters.get(`${layer.name}.${name}`),
      useBatch: batchStatistics.has(layer.name),
      update: (name, values) => statistics.set(`${layer.name}.${name}`, values),
      sides,
    }
    outputs.set(layer.name, layer.inputs.length === 0 ? input : runLayer(layer, inputs, context))
  }
  return { outputs, statistics, sides: sides.digest }
}

/** -sum target·log softmax(logits) over all pictures. */
export function crossEntropy(logits: Float64Array, targets: ArrayLike<number>, classes: number): number {
  let loss = 0
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes)
    const largest = Math.max(...row)
    const logSum = largest + Math.log(row.reduce((total, value) => total + Math.exp(value - largest), 0))
    for (const [i, value] of row.entries()) loss += (targets[start + i] ?? Number.NaN) * (logSum - value)
  }
  return loss
}

interface Context {
  readonly images: number
  parameter(name: string): Float64Array | undefined
  readonly useBatch: boolean
  update(name: string, values: Float64Array): void
  readonly sides: Sides
}

class Sides {
  digest = 0
  add(side: number): void {
    this.digest = (Math.imul(this.digest ^ side, 0x01000193) + 1) >>> 0
  }
}

function missing(name: string): never {
  throw new Error(`'${name}' is missing`)
}

function runLayer(layer: Layer, inputs: readonly Float64Array[], context: Context): Float64Array {
  const [x = missing('input'), other] = inputs
  const inputShape = layer.inputShapes[0] ?? []
  switch (layer.op) {
    case 'imageInput':
    case 'tensorInput':
      return missing(`value of input '${layer.name}'`)
    case 'conv2d':
      return convolve(x, layer.attrs, imageShape(inputShape), layer.attrs.outChannels, layer.attrs.groups ?? 1, context)
    case 'depthwiseConv2d':
      return convolve(x, layer.attrs, imageShape(inputShape), inputShape.at(-1) ?? 1, inputShape.at(-1) ?? 1, context)
    case 'batchNorm': {
      const kind = layer.attrs.activation ?? 'none'
      return activate(normalise(x, layer.attrs, inputShape.at(-1) ?? 1, context), { kind }, context)
    }
    case 'activation':
      return activate(x.slice(), layer.attrs, context)
    case 'prelu': {
      const slopes = context.parameter('weight') ?? missing('weight')
      return x.map((value, i) => {
        context.sides.add(value > 0 ? 1 : 2)
        return value > 0 ? value : value * (slopes[i % slopes.length] ?? Number.NaN)
      })
    }
    case 'maxout':
      return maxima(x, layer.attrs.pieces, context)
    case 'softmax':
      return overRows(x, inputShape.at(-1) ?? 1, (value, logSum) => Math.exp(value - logSum))
    case 'logSoftmax':
      return overRows(x, inputShape.at(-1) ?? 1, (value, logSum) => value - logSum)
    case 'add': {
      const b = other ?? missing('second input')
      const sum = x.map((value, i) => value + (b[i] ?? Number.NaN))
      return activate(sum, { kind: layer.attrs.activation ?? 'none' }, context)
    }
    case 'linear':
      return multiply(x, inputShape.at(-1) ?? 1, layer.attrs.outFeatures, context)
    case 'maxPool':
      return pool(x, layer.attrs, imageShape(inputShape), context, maximum)
    case 'averagePool':
      return pool(x, layer.attrs, imageShape(inputShape), context, meanOf(layer.attrs))
    case 'adaptiveAveragePool':
      return adaptive(x, imageShape(inputShape), layer.attrs.output, context.images)
    case 'globalAveragePool':
      return adaptive(x, imageShape(inputShape), [1, 1], context.images)
  }
}

interface Picture {
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** The pixels under each position of a window that lie inside the picture. */
function forEachWindow(
  window: Window,
  picture: Picture,
  visit: (out: number, taps: readonly { pixel: number; tap: number }[], top: number, left: number) => void,
): void {
  const { height, width, channels } = picture
  const { outHeight, outWidth, padTop, padLeft } = slide(window, [height, width, channels])
  const [kernelHeight, kernelWidth] = window.kernel
  const [strideHeight, strideWidth] = window.stride
  const [dilationHeight, dilationWidth] = window.dilation ?? [1, 1]
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      const taps: { pixel: number; tap: number }[] = []
      const top = oy * strideHeight - padTop
      const left = ox * strideWidth - padLeft
      for (let ky = 0; ky < kernelHeight; ky++) {
        for (let kx = 0; kx < kernelWidth; kx++) {
          const y = top + ky * dilationHeight
          const x = left + kx * dilationWidth
          if (y < 0 || y >= height || x < 0 || x >= width) continue
          taps.push({ pixel: y * width + x, tap: ky * kernelWidth + kx })
        }
      }
      visit(oy * outWidth + ox, taps, top, left)
    }
  }
}

function convolve(
  x: Float64Array,
  window: Window,
  picture: Picture,
  outChannels: number,
  groups: number,
  context: Context,
): Float64Array {
  const { height, width, channels } = picture
  const { outHeight, outWidth } = slide(window, [height, width, channels])
  const weight = context.parameter('weight') ?? missing('weight')
  const bias = context.parameter('bias')
  const window1 = window.kernel[0] * window.kernel[1]
  const inputs = channels / groups
  const y = new Float64Array(context.images * outHeight * outWidth * outChannels)
  forEachWindow(window, picture, (out, taps) => {
    for (let image = 0; image < context.images; image++) {
      for (let o = 0; o < outChannels; o++) {
        let sum = bias?.[o] ?? 0
        for (const { pixel, tap } of taps) {
          const start = (image * height * width + pixel) * channels + Math.floor((o * groups) / outChannels) * inputs
          for (let i = 0; i < inputs; i++) {
            sum += (x[start + i] ?? Number.NaN) * (weight[(o * inputs + i) * window1 + tap] ?? Number.NaN)
          }
        }
        y[(image * outHeight * outWidth + out) * outChannels + o] = sum
      }
    }
  })
  return y
}

function multiply(x: Float64Array, features: number, outFeatures: number, context: Context): Float64Array {
  const weight = context.parameter('weight') ?? missing('weight')
  const bias = context.parameter('bias')
  const rows = x.length / features
  const y = new Float64Array(rows * outFeatures)
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outFeatures; o++) {
      let sum = bias?.[o] ?? 0
      for (let i = 0; i < features; i++) {
        sum += (x[row * features + i] ?? Number.NaN) * (weight[o * features + i] ?? Number.NaN)
      }
      y[row * outFeatures + o] = sum
    }
  }
  return y
}

function normalise(
  x: Float64Array,
  attrs: { readonly epsilon: number; readonly momentum: number },
  channels: number,
  context: Context,
): Float64Array {
  const [gamma, beta, runningMean, runningVariance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    (name) => context.parameter(name) ?? missing(name),
  )
  if (!gamma || !beta || !runningMean || !runningVariance) return missing('parameters')
  const means = Float64Array.from(runningMean)
  const variances = Float64Array.from(runningVariance)
  if (context.useBatch) {
    const count = x.length / channels
    means.fill(0)
    variances.fill(0)
    for (const [i, value] of x.entries()) means[i % channels] = (means[i % channels] ?? 0) + value / count
    for (const [i, value] of x.entries()) {
      const c = i % channels
      variances[c] = (variances[c] ?? 0) + (value - (means[c] ?? 0)) ** 2 / count
    }
    const { momentum } = attrs
    const blend = (running: Float64Array, batch: Float64Array, factor: number) =>
      running.map((value, c) => (1 - momentum) * value + momentum * factor * (batch[c] ?? Number.NaN))
    context.update('running_mean', blend(runningMean, means, 1))
    context.update('running_var', blend(runningVariance, variances, count / (count - 1)))
  }
  return x.map((value, i) => {
    const c = i % channels
    const deviation = Math.sqrt((variances[c] ?? Number.NaN) + attrs.epsilon)
    return ((value - (means[c] ?? Number.NaN)) / deviation) * (gamma[c] ?? Number.NaN) + (beta[c] ?? Number.NaN)
  })
}

/** In place. */
function activate(x: Float64Array, attrs: ActivationAttributes, context: Context): Float64Array {
  const kinks = kinksOf(attrs)
  for (const [i, value] of x.entries()) {
    if (kinks.length > 0) context.sides.add(kinks.filter((kink) => value > kink).length)
    x[i] = activated(attrs, value)
  }
  return x
}

/** Largest of each group of neighbours, and which it was. */
function maxima(x: Float64Array, pieces: number, context: Context): Float64Array {
  return Float64Array.from({ length: x.length / pieces }, (_, i) => {
    const group = x.subarray(i * pieces, (i + 1) * pieces)
    const value = Math.max(...group)
    context.sides.add(group.indexOf(value))
    return value
  })
}

/** Of every value and the logarithm of the sum of the exponentials of its row. */
function overRows(x: Float64Array, channels: number, f: (value: number, logSum: number) => number): Float64Array {
  const y = x.slice()
  for (let start = 0; start < x.length; start += channels) {
    const row = x.subarray(start, start + channels)
    const top = Math.max(...row)
    const logSum = top + Math.log(row.reduce((total, value) => total + Math.exp(value - top), 0))
    y.set(
      row.map((value) => f(value, logSum)),
      start,
    )
  }
  return y
}

type Pooling = (values: readonly number[], window: Window, picture: Picture, top: number, left: number) => PooledValue
interface PooledValue {
  readonly value: number
  /** Which of the values decided. */
  readonly side?: number
}

function pool(x: Float64Array, window: Window, picture: Picture, context: Context, pooling: Pooling): Float64Array {
  const { height, width, channels } = picture
  const { outHeight, outWidth } = slide(window, [height, width, channels])
  const y = new Float64Array(context.images * outHeight * outWidth * channels)
  forEachWindow(window, picture, (out, taps, top, left) => {
    for (let image = 0; image < context.images; image++) {
      for (let c = 0; c < channels; c++) {
        const values = taps.map(({ pixel }) => x[(image * height * width + pixel) * channels + c] ?? Number.NaN)
        const pooled = pooling(values, window, picture, top, left)
        if (pooled.side !== undefined) context.sides.add(pooled.side)
        y[(image * outHeight * outWidth + out) * channels + c] = pooled.value
      }
    }
  })
  return y
}

const maximum: Pooling = (values) => {
  const value = Math.max(...values)
  return { value, side: values.indexOf(value) }
}

/** PyTorch's divisors: padding counts, or only what lies inside the picture; what ceil mode adds beyond never counts. */
function meanOf(attrs: { readonly countIncludePad?: boolean }): Pooling {
  return (values, window, picture, top, left) => {
    const sum = values.reduce((total, value) => total + value, 0)
    if (attrs.countIncludePad === false) return { value: sum / values.length }
    const [, , padBottom, padRight] = window.padding === 'same' ? [0, 0, 0, 0] : window.padding
    const rows = Math.min(top + window.kernel[0], picture.height + padBottom) - top
    const columns = Math.min(left + window.kernel[1], picture.width + padRight) - left
    return { value: sum / (rows * columns) }
  }
}

function adaptive(
  x: Float64Array,
  { height, width, channels }: Picture,
  [outHeight, outWidth]: readonly [number, number],
  images: number,
): Float64Array {
  const y = new Float64Array(images * outHeight * outWidth * channels)
  for (let image = 0; image < images; image++) {
    for (let oy = 0; oy < outHeight; oy++) {
      const [top, bottom] = [Math.floor((oy * height) / outHeight), Math.ceil(((oy + 1) * height) / outHeight)]
      for (let ox = 0; ox < outWidth; ox++) {
        const [left, right] = [Math.floor((ox * width) / outWidth), Math.ceil(((ox + 1) * width) / outWidth)]
        for (let c = 0; c < channels; c++) {
          let sum = 0
          for (let row = top; row < bottom; row++) {
            for (let column = left; column < right; column++) {
              sum += x[((image * height + row) * width + column) * channels + c] ?? Number.NaN
            }
          }
          y[((image * outHeight + oy) * outWidth + ox) * channels + c] = sum / ((bottom - top) * (right - left))
        }
      }
    }
  }
  return y
}
