// Convolution and its gradients as plain loops in float64. A linear layer is one of a single position.
import { type Pair, slide, type Window } from '../ops/window.ts'

/** Where a convolution reads and writes, [images, height, width, channels] on both sides. */
export interface ConvolutionShape {
  readonly images: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly outHeight: number
  readonly outWidth: number
  readonly outChannels: number
  readonly groups: number
  readonly kernel: Pair
  readonly stride: Pair
  readonly dilation: Pair
  readonly padTop: number
  readonly padLeft: number
}

export function convolutionShape(
  window: Window,
  [height = 1, width = 1, channels = 1]: readonly number[],
  outChannels: number,
  groups: number,
  images: number,
): ConvolutionShape {
  const { kernel, stride, dilation = [1, 1] } = window
  const placed = slide(window, [height, width, channels])
  return { images, height, width, channels, outChannels, groups, kernel, stride, dilation, ...placed }
}

/** x·Wᵀ as a convolution of pictures of one pixel. */
export function rowsShape(rows: number, channels: number, outChannels: number): ConvolutionShape {
  const one = [1, 1] as const
  return {
    images: rows,
    height: 1,
    width: 1,
    channels,
    outHeight: 1,
    outWidth: 1,
    outChannels,
    groups: 1,
    kernel: one,
    stride: one,
    dilation: one,
    padTop: 0,
    padLeft: 0,
  }
}

function taps({ kernel }: ConvolutionShape): number {
  return kernel[0] * kernel[1]
}

/** Weights [O, I/groups, kh, kw] as [kh, kw, groups, I/groups, O/groups]: what stands side by side is used together. */
export function packWeights(weight: ArrayLike<number>, shape: ConvolutionShape): Float64Array {
  const packed = new Float64Array(weight.length)
  reorder(shape, (inFile, inPack) => {
    packed[inPack] = weight[inFile] ?? Number.NaN
  })
  return packed
}

/** Where a value of a weight stands in the pack. */
export function packedIndex(inFile: number, shape: ConvolutionShape): number {
  const { channels, outChannels, groups } = shape
  const [inputs, outputs] = [channels / groups, outChannels / groups]
  const tap = inFile % taps(shape)
  const rest = Math.floor(inFile / taps(shape))
  const i = rest % inputs
  const o = Math.floor(rest / inputs)
  return ((tap * groups + Math.floor(o / outputs)) * inputs + i) * outputs + (o % outputs)
}

function unpackWeights(packed: Float64Array, shape: ConvolutionShape): Float64Array {
  const weight = new Float64Array(packed.length)
  reorder(shape, (inFile, inPack) => {
    weight[inFile] = packed[inPack] ?? Number.NaN
  })
  return weight
}

function reorder(shape: ConvolutionShape, visit: (inFile: number, inPack: number) => void): void {
  const { channels, outChannels, groups } = shape
  const [inputs, outputs] = [channels / groups, outChannels / groups]
  const count = taps(shape)
  for (let tap = 0; tap < count; tap++) {
    for (let o = 0; o < outChannels; o++) {
      const start = (tap * groups + Math.floor(o / outputs)) * inputs * outputs + (o % outputs)
      for (let i = 0; i < inputs; i++) visit((o * inputs + i) * count + tap, start + i * outputs)
    }
  }
}

/** Visits each pair of an output position and a tap that lies inside the picture: where their channels and the tap's weights begin. */
function forEachTap(shape: ConvolutionShape, visit: (xAt: number, wAt: number, yAt: number) => void): void {
  const { images, height, width, channels, outHeight, outWidth, outChannels, groups } = shape
  const { kernel, stride, dilation, padTop, padLeft } = shape
  const tapSize = (channels / groups) * outChannels
  for (let image = 0; image < images; image++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        const yAt = ((image * outHeight + oy) * outWidth + ox) * outChannels
        for (let ky = 0; ky < kernel[0]; ky++) {
          const row = oy * stride[0] - padTop + ky * dilation[0]
          if (row < 0 || row >= height) continue
          for (let kx = 0; kx < kernel[1]; kx++) {
            const column = ox * stride[1] - padLeft + kx * dilation[1]
            if (column < 0 || column >= width) continue
            const xAt = ((image * height + row) * width + column) * channels
            visit(xAt, (ky * kernel[1] + kx) * tapSize, yAt)
          }
        }
      }
    }
  }
}

/** @param packed  of `packWeights` */
export function convolve(
  x: Float64Array,
  packed: Float64Array,
  bias: ArrayLike<number> | undefined,
  shape: ConvolutionShape,
): Float64Array {
  const { images, outHeight, outWidth, outChannels, channels, groups } = shape
  const [inputs, outputs] = [channels / groups, outChannels / groups]
  const y = new Float64Array(images * outHeight * outWidth * outChannels)
  for (let at = 0; bias && at < y.length; at += outChannels) y.set(bias, at)
  if (inputs === 1 && outputs === 1) {
    forEachTap(shape, (xAt, wAt, yAt) => {
      for (let c = 0; c < channels; c++) y[yAt + c] = (y[yAt + c] ?? 0) + (x[xAt + c] ?? 0) * (packed[wAt + c] ?? 0)
    })
    return y
  }
  forEachTap(shape, (xAt, wAt, yAt) => {
    for (let group = 0; group < groups; group++) {
      const w = wAt + group * inputs * outputs
      addProduct(x, xAt + group * inputs, inputs, packed, w, y, yAt + group * outputs, outputs)
    }
  })
  return y
}

/** y += x·W for one row, W being [inputs, outputs]. Four rows of W at a time: ten times as fast as one. */
function addProduct(
  x: Float64Array,
  xAt: number,
  inputs: number,
  w: Float64Array,
  wAt: number,
  y: Float64Array,
  yAt: number,
  outputs: number,
): void {
  let i = 0
  for (; i + 4 <= inputs; i += 4) {
    const x0 = x[xAt + i] ?? 0
    const x1 = x[xAt + i + 1] ?? 0
    const x2 = x[xAt + i + 2] ?? 0
    const x3 = x[xAt + i + 3] ?? 0
    const w0 = wAt + i * outputs
    const w1 = w0 + outputs
    const w2 = w1 + outputs
    const w3 = w2 + outputs
    for (let o = 0; o < outputs; o++) {
      y[yAt + o] =
        (y[yAt + o] ?? 0) +
        x0 * (w[w0 + o] ?? 0) +
        x1 * (w[w1 + o] ?? 0) +
        x2 * (w[w2 + o] ?? 0) +
        x3 * (w[w3 + o] ?? 0)
    }
  }
  for (; i < inputs; i++) {
    const value = x[xAt + i] ?? 0
    const row = wAt + i * outputs
    for (let o = 0; o < outputs; o++) y[yAt + o] = (y[yAt + o] ?? 0) + value * (w[row + o] ?? 0)
  }
}

export interface ConvolutionGradients {
  readonly dInput: Float64Array
  /** In file layout. */
  readonly dWeight: Float64Array
  readonly dBias: Float64Array
}

export function convolutionGradients(
  x: Float64Array,
  packed: Float64Array,
  dOutput: Float64Array,
  shape: ConvolutionShape,
): ConvolutionGradients {
  const { outChannels, channels, groups } = shape
  const [inputs, outputs] = [channels / groups, outChannels / groups]
  const dInput = new Float64Array(x.length)
  const dPacked = new Float64Array(packed.length)
  const dBias = new Float64Array(outChannels)
  for (let at = 0; at < dOutput.length; at++) {
    dBias[at % outChannels] = (dBias[at % outChannels] ?? 0) + (dOutput[at] ?? 0)
  }
  forEachTap(shape, (xAt, wAt, yAt) => {
    for (let group = 0; group < groups; group++) {
      const yGroup = yAt + group * outputs
      for (let i = 0; i < inputs; i++) {
        const from = xAt + group * inputs + i
        const value = x[from] ?? 0
        const w = wAt + (group * inputs + i) * outputs
        let sum = 0
        for (let o = 0; o < outputs; o++) {
          const dy = dOutput[yGroup + o] ?? 0
          sum += dy * (packed[w + o] ?? 0)
          dPacked[w + o] = (dPacked[w + o] ?? 0) + dy * value
        }
        dInput[from] = (dInput[from] ?? 0) + sum
      }
    }
  })
  return { dInput, dWeight: unpackWeights(dPacked, shape), dBias }
}
