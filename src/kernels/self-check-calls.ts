// What the self-check of a build computes: small, but through every part of the code that V8 fuses, with its edges.
import { type Call, call } from './program.ts'

/** Hands out pieces of the workspace. */
export interface Places {
  /** Room for so many numbers. */
  floats(count: number): number
  /** Fifteen integers that describe a window; see assembly/README.md. */
  geometry(values: readonly number[]): number
}

/** Calls whose results must not depend on how the kernels were compiled. Numbers around zero lie where they read. */
export function selfCheckCalls({ floats, geometry }: Places): readonly Call[] {
  return [
    ...products(floats),
    ...convolutions({ floats, geometry }),
    ...[1, 2].flatMap((stride) => depthwise({ floats, geometry }, stride)),
    call<'sumRows', number>('sumRows', [floats(261 * 44), 44, 261, floats(44)], 11),
  ]
}

function products(floats: Places['floats']): readonly Call[] {
  const calls: Call[] = []
  // 44 columns are two panels of 16, one of 8 and one of 4; 21 rows are three tiles and a half; a depth of 600 is summed in two stretches; rows of 300
  // for 132 columns are copied first.
  for (const [rows, depth, biased, activation, columns] of [
    [21, 37, true, 2, 44],
    [13, 600, false, 0, 44],
    [3, 5, true, 1, 44],
    [5, 300, true, 0, 132],
  ] as const) {
    const [a, packed, c] = [floats(rows * depth), floats(depth * columns), floats(rows * columns)]
    const [bias, residual] = biased ? [floats(columns), floats(rows * columns)] : [0, 0]
    const shape = [columns, columns, depth] as const
    calls.push(
      call<'matmul', number>('matmul', [a, depth, packed, c, ...shape, bias, residual, activation, 'scratch'], rows),
    )
  }
  const [a, b, c] = [floats(261 * 72), floats(261 * 92), floats(72 * 92)]
  // Two blocks of rows; many columns of both are copied first, few are not.
  for (const [scaleShift, activation, byColumns, units] of [
    [0, 0, 0, 71],
    [floats(2 * 72), 2, 0, 9],
    [floats(2 * 72), 1, 1, 23],
  ] as const) {
    calls.push(
      call<'matmulTransposed', number>(
        'matmulTransposed',
        [a, 72, scaleShift, activation, b, 92, c, 92, 261, 71, 92, byColumns, 'scratch'],
        units,
      ),
    )
  }
  calls.push(call<'packB', number>('packB', [floats(9 * 30), 30, floats(9 * 32), 9, 30], 4))
  calls.push(call<'packBTransposed', number>('packBTransposed', [floats(30 * 9), 9, floats(9 * 32), 9, 30], 4))
  return calls
}

/** 3x3 over a picture of 9x10: rows and columns at every edge, with stride 2 an odd number of them. */
function window(inputs: number, outputs: number, stride: number): { values: readonly number[]; pixels: number } {
  const padded = Math.ceil(inputs / 4) * 4
  const [height, width] = [Math.ceil(9 / stride), Math.ceil(10 / stride)]
  const kernel = [3, 3, stride, stride, 1, 1, 1, 1]
  return { values: [9, 10, inputs, padded, height, width, outputs, ...kernel], pixels: height * width }
}

function convolutions({ floats, geometry }: Places): readonly Call[] {
  // 108 rows of weights and 68 columns: enough that copies are made and packed on the way to their gradient.
  const { values, pixels } = window(12, 68, 1)
  const at = geometry(values)
  const rows = 9 * 12
  const [x, y] = [floats(90 * 12), floats(pixels * 68)]
  const [packed, transposed, dw] = [floats(rows * 68), floats(68 * rows), floats(rows * 68)]
  return [
    call<'convolutionForward', number>('convolutionForward', [x, packed, y, floats(68), 0, 2, at, 'scratch'], pixels),
    call<'convolutionBackwardInput', number>(
      'convolutionBackwardInput',
      [y, transposed, floats(90 * 12), at, 1, 'scratch'],
      1,
    ),
    call<'convolutionBackwardWeight', number>('convolutionBackwardWeight', [x, y, dw, 1, at, 'scratch'], rows),
  ]
}

function depthwise({ floats, geometry }: Places, stride: number): readonly Call[] {
  // Two groups of eight channels and one of four.
  const channels = 20
  const { values, pixels } = window(channels, channels, stride)
  const at = geometry(values)
  const [x, y] = [floats(90 * channels), floats(pixels * channels)]
  const [weight, dw, dx] = [floats(9 * channels), floats(9 * channels), floats(90 * channels)]
  const height = Math.ceil(9 / stride)
  return [
    call<'depthwiseForward', number>('depthwiseForward', [x, weight, y, floats(channels), 2, at], height),
    call<'depthwiseForward', number>('depthwiseForward', [x, weight, floats(pixels * channels), 0, 0, at], height),
    call<'depthwiseBackwardInput', number>('depthwiseBackwardInput', [y, weight, dx, at, 0], 9),
    call<'depthwiseBackwardInput', number>('depthwiseBackwardInput', [y, weight, dx, at, 1], 9),
    ...[0, floats(2 * channels)].map((scaleShift) =>
      call<'depthwiseBackwardWeight', number>(
        'depthwiseBackwardWeight',
        [x, scaleShift, 2, y, dw, 1, at, 'scratch'],
        channels / 4,
      ),
    ),
  ]
}
