// Every operator in float64, forward and backward, straight from the definitions. Values are [N, …shape] with the channels last and
// without padding; parameters are as in files.
import type { Layer } from '../graph/graph.ts'
import type { ActivationAttributes } from '../ops/activation.ts'
import { imageShape } from '../ops/op.ts'
import { activated, activationSlope, kinksOf } from './activations.ts'
import { attended, attentionGradient } from './attention.ts'
import { type Normalised, normalise, normGradients } from './batch-norm.ts'
import { channelMap, moveBack, moveChannels, scaled, scaleGradient } from './channels.ts'
import {
  type ConvolutionShape,
  convolutionGradients,
  convolutionShape,
  convolve,
  packWeights,
  rowsShape,
} from './convolution.ts'
import { type DropKeys, dropped, droppedWeights } from './dropping.ts'
import { layerNormalised, layerNormGradients } from './layer-norm.ts'
import { average, averageGradient, gridCells, largest, type PictureShape, scatter, windowCells } from './pooling.ts'
import { behindToken, firstTokens, sumOver, withoutToken } from './tokens.ts'

/** What a layer finds when it runs. */
export interface Surroundings {
  readonly images: number
  readonly inputs: readonly Float64Array[]
  parameter(name: string): Float64Array | undefined
  /** Batch norm: use the statistics of the batch. */
  readonly useBatch: boolean
  /** The weights as `packWeights` orders them, where they are at hand. */
  readonly packed?: Float64Array | undefined
  /** What decides what is left out; the layers that leave something out need it. */
  readonly keys?: DropKeys | undefined
}

/** What a layer leaves behind. */
export interface LayerPass {
  readonly output: Float64Array
  /** For each value that may cross a kink: on which side of it it is, or which of its inputs won. */
  readonly sides?: Uint8Array | Int32Array
  readonly normalised?: Normalised
}

export interface LayerGradients {
  /** In the order of the inputs. */
  readonly dInputs: readonly Float64Array[]
  /** In file layout, by their names within the layer. */
  readonly dParameters: Readonly<Record<string, Float64Array>>
}

export function missing(name: string): never {
  throw new Error(`'${name}' is missing`)
}

/** How the weights of a layer lie, if it convolves or multiplies. */
export function convolutionOf(layer: Layer, images: number): ConvolutionShape | undefined {
  const shape = layer.inputShapes[0] ?? []
  const channels = shape.at(-1) ?? 1
  switch (layer.op) {
    case 'conv2d':
      return convolutionShape(layer.attrs, shape, layer.attrs.outChannels, layer.attrs.groups ?? 1, images)
    case 'depthwiseConv2d':
      return convolutionShape(layer.attrs, shape, channels, channels, images)
    case 'linear':
      return rowsShape(
        shape.slice(0, -1).reduce((a, b) => a * b, images),
        channels,
        layer.attrs.outFeatures,
      )
    default:
      return undefined
  }
}

export function forward(layer: Layer, around: Surroundings): LayerPass {
  const [x = missing(`input of '${layer.name}'`), other] = around.inputs
  const { images } = around
  switch (layer.op) {
    case 'imageInput':
    case 'tensorInput':
      return { output: x }
    case 'meanImage': {
      const mean = needed(around, 'mean')
      const { height, width, channels } = imageShape(layer.shape)
      const inFile = (at: number) => (at % channels) * height * width + (Math.floor(at / channels) % (height * width))
      return { output: x.map((value, at) => value - (mean[inFile(at)] ?? Number.NaN)) }
    }
    case 'conv2d':
    case 'depthwiseConv2d':
    case 'linear': {
      const shape = convolutionOf(layer, images) ?? missing(layer.name)
      const packed = packedOf(layer, around, shape)
      return { output: convolve(x, packed, around.parameter('bias'), shape) }
    }
    case 'batchNorm': {
      const normalised = normalise(x, normParameters(around), layer.attrs, around.useBatch)
      return { ...activate(normalised.output, fused(layer.attrs)), normalised }
    }
    case 'activation':
      return activate(x, layer.attrs)
    case 'prelu': {
      const slopes = needed(around, 'weight')
      const sides = Uint8Array.from(x, (value) => (value > 0 ? 1 : 0))
      return { output: x.map((value, at) => (value > 0 ? value : value * (slopes[at % slopes.length] ?? 0))), sides }
    }
    case 'maxout': {
      const { output, from } = winners(x, layer.attrs.pieces)
      return { output, sides: from }
    }
    case 'softmax':
      return { output: overRows(x, rowWidth(layer), (value, logSum) => Math.exp(value - logSum)) }
    case 'logSoftmax':
      return { output: overRows(x, rowWidth(layer), (value, logSum) => value - logSum) }
    case 'add': {
      const b = other ?? missing('second input')
      return activate(
        x.map((value, at) => value + (b[at] ?? Number.NaN)),
        fused(layer.attrs),
      )
    }
    case 'concat':
    case 'slice':
    case 'channelShuffle':
      return { output: moveChannels(around.inputs, channelMap(layer)) }
    case 'scale':
      return { output: scaled(x, other ?? missing('second input'), images) }
    case 'layerScale':
      return { output: scaled(x, needed(around, ''), 1) }
    case 'layerNorm':
      return { output: layerNormalised(x, needed(around, 'weight'), needed(around, 'bias'), layer.attrs.epsilon) }
    case 'dropout':
    case 'dropPath':
      return { output: dropOf(layer, around, x) }
    case 'classToken':
      return { output: behindToken(x, needed(around, ''), images) }
    case 'positions': {
      const weight = needed(around, '')
      return { output: x.map((value, at) => value + (weight[at % weight.length] ?? Number.NaN)) }
    }
    case 'attention':
      return { output: attended(x, attentionOf(layer)) }
    case 'firstToken':
      return { output: firstTokens(x, images, rowWidth(layer)) }
    case 'maxPool': {
      const picture = pictureOf(layer, images)
      const { output, from } = largest(x, picture, windowCells(layer.attrs, picture))
      return { output, sides: from }
    }
    case 'averagePool':
    case 'adaptiveAveragePool':
    case 'globalAveragePool': {
      const picture = pictureOf(layer, images)
      return { output: average(x, picture, cellsOf(layer, picture)) }
    }
  }
}

/** @param pass  of the forward pass with the same surroundings */
export function backward(layer: Layer, around: Surroundings, pass: LayerPass, dOutput: Float64Array): LayerGradients {
  const [x = missing(`input of '${layer.name}'`)] = around.inputs
  const { images } = around
  const only = (dInput: Float64Array): LayerGradients => ({ dInputs: [dInput], dParameters: {} })
  switch (layer.op) {
    case 'imageInput':
    case 'tensorInput':
    case 'meanImage':
      return only(dOutput)
    case 'conv2d':
    case 'depthwiseConv2d':
    case 'linear': {
      const shape = convolutionOf(layer, images) ?? missing(layer.name)
      const packed = packedOf(layer, around, shape)
      const { dInput, dWeight, dBias } = convolutionGradients(x, packed, dOutput, shape)
      return { dInputs: [dInput], dParameters: { weight: ofStep(layer, around, dWeight), bias: dBias } }
    }
    case 'batchNorm': {
      const normalised = pass.normalised ?? missing('the forward pass')
      const dNormal = behindFused(layer.attrs, pass, dOutput)
      const { dInput, dWeight, dBias } = normGradients(normalised, needed(around, 'weight'), dNormal, around.useBatch)
      return { dInputs: [dInput], dParameters: { weight: dWeight, bias: dBias } }
    }
    case 'activation': {
      const { attrs } = layer
      return only(dOutput.map((dy, at) => dy * activationSlope(attrs, x[at] ?? Number.NaN)))
    }
    case 'prelu': {
      const slopes = needed(around, 'weight')
      const dWeight = new Float64Array(slopes.length)
      const dInput = dOutput.map((dy, at) => {
        const value = x[at] ?? Number.NaN
        const channel = at % slopes.length
        if (value > 0) return dy
        dWeight[channel] = (dWeight[channel] ?? 0) + dy * value
        return dy * (slopes[channel] ?? Number.NaN)
      })
      return { dInputs: [dInput], dParameters: { weight: dWeight } }
    }
    case 'maxout':
    case 'maxPool':
      return only(scatter(dOutput, pass.sides instanceof Int32Array ? pass.sides : missing('winners'), x.length))
    case 'softmax': {
      const width = rowWidth(layer)
      const sums = rowSums(dOutput, width, (dy, at) => dy * (pass.output[at] ?? 0))
      return only(dOutput.map((dy, at) => (pass.output[at] ?? 0) * (dy - (sums[Math.floor(at / width)] ?? 0))))
    }
    case 'logSoftmax': {
      const width = rowWidth(layer)
      const sums = rowSums(dOutput, width, (dy) => dy)
      return only(dOutput.map((dy, at) => dy - Math.exp(pass.output[at] ?? 0) * (sums[Math.floor(at / width)] ?? 0)))
    }
    case 'add': {
      const dSum = behindFused(layer.attrs, pass, dOutput)
      return { dInputs: [dSum, dSum], dParameters: {} }
    }
    case 'concat':
    case 'slice':
    case 'channelShuffle':
      return { dInputs: moveBack(dOutput, around.inputs, channelMap(layer)), dParameters: {} }
    case 'scale': {
      const s = around.inputs[1] ?? missing('second input')
      return { dInputs: [scaled(dOutput, s, images), scaleGradient(x, dOutput, s.length, images)], dParameters: {} }
    }
    case 'layerScale': {
      const weight = needed(around, '')
      return {
        dInputs: [scaled(dOutput, weight, 1)],
        dParameters: { '': scaleGradient(x, dOutput, weight.length, 1) },
      }
    }
    case 'layerNorm': {
      const weight = needed(around, 'weight')
      const { dInput, dWeight, dBias } = layerNormGradients(x, weight, layer.attrs.epsilon, dOutput)
      return { dInputs: [dInput], dParameters: { weight: dWeight, bias: dBias } }
    }
    case 'dropout':
    case 'dropPath':
      return only(dropOf(layer, around, dOutput))
    case 'classToken': {
      const width = rowWidth(layer)
      const token = sumOver(firstTokens(dOutput, images, width), width)
      return { dInputs: [withoutToken(dOutput, images, width)], dParameters: { '': token } }
    }
    case 'positions':
      return { dInputs: [dOutput], dParameters: { '': sumOver(dOutput, dOutput.length / images) } }
    case 'attention':
      return only(attentionGradient(x, dOutput, attentionOf(layer)))
    case 'firstToken': {
      const width = rowWidth(layer)
      const each = x.length / images
      return only(
        x.map((_, at) => (at % each < width ? (dOutput[Math.floor(at / each) * width + (at % each)] ?? 0) : 0)),
      )
    }
    case 'averagePool':
    case 'adaptiveAveragePool':
    case 'globalAveragePool': {
      const picture = pictureOf(layer, images)
      return only(averageGradient(dOutput, picture, cellsOf(layer, picture)))
    }
  }
}

function packedOf(layer: Layer, around: Surroundings, shape: ConvolutionShape): Float64Array {
  const drops = layer.op === 'linear' && layer.attrs.dropConnect !== undefined
  if (around.packed && !drops) return around.packed
  return packWeights(ofStep(layer, around, needed(around, 'weight')), shape)
}

/** Weights, or their gradient, without those that the step leaves out. */
function ofStep(layer: Layer, { keys }: Surroundings, weights: Float64Array): Float64Array {
  if (layer.op !== 'linear' || !layer.attrs.dropConnect) return weights
  const { outFeatures, dropConnect } = layer.attrs
  return droppedWeights(weights, outFeatures, dropConnect, (keys ?? missing('keys')).step)
}

type DroppingLayer = Extract<Layer, { op: 'dropout' | 'dropPath' }>

function dropOf(layer: DroppingLayer, { keys = missing('keys') }: Surroundings, values: Float64Array): Float64Array {
  return dropped(values, layer.shape, layer.attrs, keys.pictures, layer.op === 'dropPath')
}

function needed(around: Surroundings, name: string): Float64Array {
  return around.parameter(name) ?? missing(name)
}

function normParameters(around: Surroundings) {
  return {
    weight: needed(around, 'weight'),
    bias: needed(around, 'bias'),
    mean: needed(around, 'running_mean'),
    variance: needed(around, 'running_var'),
  }
}

type FusedActivation = ActivationAttributes & { readonly kind: 'none' | 'relu' | 'relu6' }

function fused({ activation }: { readonly activation?: FusedActivation['kind'] }): FusedActivation {
  return { kind: activation ?? 'none' }
}

function activate(x: Float64Array, attrs: ActivationAttributes): LayerPass {
  if (attrs.kind === 'none') return { output: x }
  const output = new Float64Array(x.length)
  const [low, high] = kinksOf(attrs)
  if (low === undefined) {
    for (let at = 0; at < x.length; at++) output[at] = activated(attrs, x[at] ?? Number.NaN)
    return { output }
  }
  const sides = new Uint8Array(x.length)
  const top = high ?? Number.POSITIVE_INFINITY
  // Most of all values pass one of these two, so they have their formula here.
  const rectifies = attrs.kind === 'relu' || attrs.kind === 'relu6'
  for (let at = 0; at < x.length; at++) {
    const value = x[at] ?? Number.NaN
    output[at] = rectifies ? Math.min(Math.max(value, 0), top) : activated(attrs, value)
    sides[at] = value > top ? 2 : value > low ? 1 : 0
  }
  return { output, sides }
}

/** The gradient of what went into a fused activation: it passes on the rising side, which is the first. */
function behindFused(
  { activation }: { readonly activation?: FusedActivation['kind'] },
  { sides }: LayerPass,
  dOutput: Float64Array,
): Float64Array {
  return (activation ?? 'none') === 'none' ? dOutput : dOutput.map((dy, at) => (sides?.[at] === 1 ? dy : 0))
}

/** Largest of each group of neighbours, and where it stood. */
function winners(x: Float64Array, pieces: number): { output: Float64Array; from: Int32Array } {
  const from = Int32Array.from({ length: x.length / pieces }, (_, group) => {
    let best = group * pieces
    for (let at = best + 1; at < (group + 1) * pieces; at++) if ((x[at] ?? 0) > (x[best] ?? 0)) best = at
    return best
  })
  return { output: Float64Array.from(from, (at) => x[at] ?? Number.NaN), from }
}

function attentionOf(layer: Extract<Layer, { op: 'attention' }>) {
  const [tokens = 1, channels = 1] = layer.shape
  return { tokens, channels, heads: layer.attrs.heads }
}

function rowWidth(layer: Layer): number {
  return layer.inputShapes[0]?.at(-1) ?? 1
}

/** Of every value and the logarithm of the sum of the exponentials of its row. */
function overRows(x: Float64Array, width: number, f: (value: number, logSum: number) => number): Float64Array {
  const y = new Float64Array(x.length)
  for (let start = 0; start < x.length; start += width) {
    const row = x.subarray(start, start + width)
    const top = row.reduce((a, b) => Math.max(a, b))
    const logSum = top + Math.log(row.reduce((total, value) => total + Math.exp(value - top), 0))
    for (let at = 0; at < width; at++) y[start + at] = f(row[at] ?? Number.NaN, logSum)
  }
  return y
}

function rowSums(values: Float64Array, width: number, term: (value: number, at: number) => number): Float64Array {
  const sums = new Float64Array(values.length / width)
  for (const [at, value] of values.entries()) {
    const row = Math.floor(at / width)
    sums[row] = (sums[row] ?? 0) + term(value, at)
  }
  return sums
}

function pictureOf(layer: Layer, images: number): PictureShape {
  return { images, ...imageShape(layer.inputShapes[0] ?? []) }
}

type AveragingLayer = Extract<Layer, { op: 'averagePool' | 'adaptiveAveragePool' | 'globalAveragePool' }>

function cellsOf(layer: AveragingLayer, picture: PictureShape) {
  switch (layer.op) {
    case 'averagePool':
      return windowCells(layer.attrs, picture)
    case 'adaptiveAveragePool':
      return gridCells(picture, layer.attrs.output)
    case 'globalAveragePool':
      return gridCells(picture, [1, 1])
  }
}
