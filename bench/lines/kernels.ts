// Single operators of the networks, in the batches of the networks' lines.
import { costOf } from '../../src/graph/cost.ts'
import { layerNamed, parametersOf } from '../../src/graph/graph.ts'
import type { AttributesOf, OpName } from '../../src/ops/index.ts'
import { channelsOf, paddedChannels, pixelsOf } from '../../src/ops/op.ts'
import { evenPadding } from '../../src/ops/window.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import { ours } from '../entrants.ts'
import type { Section, SpeedLine } from '../line.ts'
import { graphOf } from '../ours/one-op.ts'
import type { OpTask } from '../protocol.ts'
import type { Workload } from '../workload.ts'
import { batchNormTruth, forwardTruth } from './truth.ts'

interface Operator<K extends OpName> {
  readonly title: string
  readonly op: K
  readonly attrs: AttributesOf<K>
  readonly inputShape: readonly number[]
  readonly images: number
  /** A pass of training; inference when absent. */
  readonly training?: 'forward' | 'backward'
  readonly unit: 'GFLOP/s' | 'GB/s'
  /** How often inputs and outputs are read or written at least. */
  readonly passes?: { readonly inputs: number; readonly outputs: number }
  readonly truth?: (task: OpTask<K>) => Record<string, ArrayLike<number>>
}

/** Winograd's transforms lose a digit. */
const WITHIN = 1e-4

function line<K extends OpName>(operator: Operator<K>): SpeedLine {
  const { op, attrs, inputShape, images, training, unit } = operator
  const graph = graphOf(op, attrs, inputShape)
  const layer = layerNamed(graph, 'op')
  const task = (workload: Workload): OpTask<K> => {
    const noise = (name: string, length: number) => workload.noise(`${op} ${name}`, length)
    const files = parametersOf(layer).map(({ name, shape }) => [name, noise(name, elementCount(shape))] as const)
    const input = noise('input', images * elementCount(inputShape))
    return {
      kind: 'op',
      ...{ op, attrs, images, inputShape, input },
      training: training
        ? { pass: training, outputGradient: noise('output gradient', images * elementCount(layer.shape)) }
        : null,
      parameters: Object.fromEntries(files),
    }
  }
  const bytesOf = (shape: readonly number[]) => 4 * images * pixelsOf(shape) * paddedChannels(channelsOf(shape))
  const { inputs, outputs } = operator.passes ?? { inputs: 1, outputs: 1 }
  const truth = operator.truth ?? ((of: OpTask<K>) => ({ output: forwardTruth(of) }))
  return {
    measures: 'speed',
    name: `kernel ${operator.title}, ${inputShape.join('x')} batch ${images}`,
    // An op's attributes belong to its name in the task too; a union of all ops cannot say so.
    ours: { ...ours(), task: (workload) => task(workload) as unknown as OpTask },
    opponents: [],
    amount:
      unit === 'GFLOP/s'
        ? { flop: 2 * images * costOf(graph).multiplyAdds }
        : { bytes: inputs * bytesOf(inputShape) + outputs * bytesOf(layer.shape) },
    unit,
    truth: { within: WITHIN, arrays: (workload) => truth(task(workload)) },
  }
}

const depthwise = (size: number, channels: number, stride: 1 | 2): SpeedLine =>
  line({
    title: `depthwise 3x3 stride ${stride}`,
    op: 'depthwiseConv2d',
    attrs: { kernel: [3, 3], stride: [stride, stride], padding: evenPadding(1) },
    inputShape: [size, size, channels],
    images: 16,
    unit: 'GFLOP/s',
  })

const convolution = (
  kernel: number,
  stride: number,
  size: number,
  channels: number,
  outChannels: number,
  images: number,
) =>
  line({
    title: `convolution ${kernel}x${kernel} stride ${stride} to ${outChannels}`,
    op: 'conv2d',
    attrs: { outChannels, kernel: [kernel, kernel], stride: [stride, stride], padding: evenPadding((kernel - 1) / 2) },
    inputShape: [size, size, channels],
    images,
    unit: 'GFLOP/s',
  })

/** Forward reads its input for the statistics and once more; backward reads input, output and gradient twice and writes one gradient. */
const batchNorm = (pass: 'forward' | 'backward', size: number, channels: number): SpeedLine =>
  line({
    title: `batch norm in training, ${pass}`,
    op: 'batchNorm',
    attrs: { epsilon: 1e-5, momentum: 0.1, activation: 'relu6' },
    inputShape: [size, size, channels],
    images: 16,
    training: pass,
    unit: 'GB/s',
    passes: pass === 'forward' ? { inputs: 2, outputs: 1 } : { inputs: 3, outputs: 4 },
    ...(pass === 'backward' ? { truth: batchNormTruth } : {}),
  })

export const kernels: Section = {
  name: 'kernels',
  lines: [
    depthwise(112, 32, 1),
    depthwise(56, 144, 1),
    depthwise(28, 192, 1),
    depthwise(14, 576, 1),
    depthwise(7, 960, 1),
    depthwise(112, 96, 2),
    depthwise(28, 192, 2),
    convolution(3, 1, 56, 64, 64, 8),
    convolution(7, 2, 224, 3, 64, 8),
    convolution(3, 2, 224, 3, 32, 16),
    batchNorm('forward', 112, 96),
    batchNorm('backward', 112, 96),
    batchNorm('forward', 14, 576),
    batchNorm('backward', 14, 576),
    line({
      title: 'max pooling 3x3 stride 2',
      op: 'maxPool',
      attrs: { kernel: [3, 3], stride: [2, 2], padding: evenPadding(1) },
      inputShape: [112, 112, 64],
      images: 8,
      unit: 'GB/s',
    }),
    line({
      title: 'global average pooling',
      op: 'globalAveragePool',
      attrs: {},
      inputShape: [7, 7, 1280],
      images: 16,
      unit: 'GB/s',
    }),
  ],
}
