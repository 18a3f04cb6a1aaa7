// Convolutions in groups: which kernel calls they consist of.
import { SCRATCH } from '../kernels/program.ts'
import {
  ACTIVATION_CODES,
  type BackwardRecorder,
  type ForwardRecorder,
  firstInput,
  type Place,
  pixelsOf,
  type Recorder,
} from './op.ts'

/** Groups of `inputs` and `outputs` channels each, and what the kernels know about the windows. */
export interface GroupedConvolution {
  readonly groups: number
  readonly inputs: number
  readonly outputs: number
  /** Positions of the kernel, kh·kw. */
  readonly taps: number
  readonly geometry: readonly number[]
}

const ROW_GRAIN = 4

/** The kernels take as many groups together as fill whole vectors on both sides (assembly/convolution/grouped.ts). */
function bundlesOf({ groups, inputs, outputs }: GroupedConvolution): { size: number; count: number } {
  const multipleOf = (divisor: number) => inputs % divisor === 0 && outputs % divisor === 0
  const size = multipleOf(4) ? 1 : multipleOf(2) ? 2 : 4
  return { size, count: Math.ceil(groups / size) }
}

function packed(record: Recorder, convolution: GroupedConvolution, transposed: 0 | 1): Place {
  const { groups, inputs, outputs, taps } = convolution
  const { size, count } = bundlesOf(convolution)
  return record.derived(
    transposed ? 'transposed weight of groups' : 'weight of groups',
    count * taps * size * inputs * size * outputs * 4,
    'packGroups',
    (made) => [record.parameter('weight'), made, taps, inputs, outputs, groups, transposed],
    count,
  )
}

export function recordGroupedForward(record: ForwardRecorder, convolution: GroupedConvolution): void {
  const { groups, inputs, outputs, geometry } = convolution
  record.call(
    'groupedForward',
    [
      firstInput(record).place,
      packed(record, convolution, 0),
      record.output.place,
      record.bias,
      record.residual,
      ACTIVATION_CODES[record.activation],
      record.table(geometry),
      inputs,
      outputs,
      groups,
      SCRATCH,
    ],
    { perImage: pixelsOf(record.output.shape) },
    ROW_GRAIN,
  )
}

/** The gradients of weight and input, where they are wanted. */
export function recordGroupedBackward(record: BackwardRecorder, convolution: GroupedConvolution): void {
  const { groups, inputs, outputs, taps, geometry } = convolution
  const table = record.table(geometry)
  const dWeight = record.gradient('weight')
  if (dWeight) {
    record.call(
      'groupedBackwardWeight',
      [firstInput(record).place, record.dOutput, dWeight, { perImage: 1 }, table, inputs, outputs, groups, SCRATCH],
      bundlesOf(convolution).count * taps,
    )
  }
  const dInput = record.dInput(0)
  if (dInput) {
    record.call(
      'groupedBackwardInput',
      [
        record.dOutput,
        packed(record, convolution, 1),
        dInput.place,
        table,
        inputs,
        outputs,
        groups,
        dInput.accumulate,
        SCRATCH,
      ],
      { perImage: 1 },
    )
  }
}
