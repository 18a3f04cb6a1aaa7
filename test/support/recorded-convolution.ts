// The convolutions recorded from PyTorch, in the order of the kernels.

import type { Convolution } from '../reference/convolution.ts'
import { at, worstError } from './dense-data.ts'
import { type OracleCase, readOracle } from './read-oracle.ts'

/** Channels last, without padding lanes; the weight as [kh, kw, I / groups, O]. */
export interface ConvolutionData {
  readonly x: ArrayLike<number>
  readonly weight: ArrayLike<number>
  readonly dy: ArrayLike<number>
  readonly bias: ArrayLike<number>
}

export interface ConvolutionResults {
  readonly output: ArrayLike<number>
  readonly grad_x: ArrayLike<number>
  readonly grad_weight: ArrayLike<number>
}

export interface RecordedConvolution {
  readonly name: string
  readonly shape: Convolution
  readonly data: ConvolutionData
  /** The largest error of each result as a share of what is advised: at most 1 where all is well. */
  errors(results: ConvolutionResults): Record<keyof ConvolutionResults, number>
}

/** The recorded convolutions that `wanted` accepts; none where the recordings are absent. */
export function recordedConvolutions(wanted: (shape: Convolution) => boolean): RecordedConvolution[] {
  return readOracle('conv2d')
    .map((entry) => ({ entry, shape: shapeOf(entry) }))
    .filter(({ shape }) => wanted(shape))
    .map(({ entry, shape }) => ({ name: entry.name, shape, ...contents(entry, shape) }))
}

function contents(entry: OracleCase, shape: Convolution): Pick<RecordedConvolution, 'data' | 'errors'> {
  const { N, H, W, C, OH, OW, O, kernel, groups = 1 } = shape
  const [inputs, taps] = [C / groups, kernel[0] * kernel[1]]
  const turned: Record<keyof ConvolutionResults, (values: ArrayLike<number>) => Float32Array> = {
    output: (values) => channelsLast(values, N, O, OH * OW),
    grad_x: (values) => channelsLast(values, N, C, H * W),
    grad_weight: (values) => weightToRows(values, O, inputs, taps),
  }
  const error = (name: keyof ConvolutionResults, values: ArrayLike<number>): number => {
    const { values: recorded, tolerance } = entry.tensor(name)
    if (!tolerance) throw new Error(`${entry.name}: '${name}' has no tolerance`)
    return worstError(values, turned[name](recorded), tolerance)
  }
  return {
    data: {
      x: turned.grad_x(entry.tensor('x').values),
      weight: turned.grad_weight(entry.tensor('weight').values),
      dy: turned.output(entry.tensor('cotangent').values),
      bias: entry.has('bias') ? entry.tensor('bias').values : new Float32Array(O),
    },
    errors: (results) => ({
      output: error('output', results.output),
      grad_x: error('grad_x', results.grad_x),
      grad_weight: error('grad_weight', results.grad_weight),
    }),
  }
}

function shapeOf(entry: OracleCase): Convolution {
  const [N, C, H, W] = entry.tensor('x').shape
  const [, O, OH, OW] = entry.tensor('output').shape
  const [padTop, , padLeft] = numbers(entry.config['padding_top_bottom_left_right'])
  const pair = (name: string): [number, number] => {
    const values = numbers(entry.config[name])
    return [at(values, 0), at(values, 1)]
  }
  const all = numbers([N, C, H, W, O, OH, OW, padTop, padLeft, entry.config['groups']])
  return {
    N: at(all, 0),
    C: at(all, 1),
    H: at(all, 2),
    W: at(all, 3),
    O: at(all, 4),
    OH: at(all, 5),
    OW: at(all, 6),
    padTop: at(all, 7),
    padLeft: at(all, 8),
    groups: at(all, 9),
    kernel: pair('kernel'),
    stride: pair('stride'),
    dilation: pair('dilation'),
  }
}

function numbers(value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError(`${value} is not a list`)
  return value.map((element) => {
    if (typeof element !== 'number') throw new TypeError(`${element} is not a number`)
    return element
  })
}

/** [N, C, P] as [N, P, C]. */
function channelsLast(source: ArrayLike<number>, N: number, C: number, P: number): Float32Array {
  const result = new Float32Array(N * C * P)
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++)
      for (let p = 0; p < P; p++) result[(n * P + p) * C + c] = at(source, (n * C + c) * P + p)
  }
  return result
}

/** [O, I, taps] as [taps, I, O]. */
function weightToRows(source: ArrayLike<number>, O: number, I: number, taps: number): Float32Array {
  const result = new Float32Array(O * I * taps)
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      for (let tap = 0; tap < taps; tap++) result[(tap * I + i) * O + o] = at(source, (o * I + i) * taps + tap)
    }
  }
  return result
}
