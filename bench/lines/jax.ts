// The other library that computes gradients in WebAssembly. Its convolutions are not tuned yet, so the ratios are told without a bar.
import { jaxJs, ours, pytorch } from '../entrants.ts'
import type { Opponent, Section, SpeedLine } from '../line.ts'
import type { ConvolutionTask } from '../protocol.ts'
import type { Workload } from '../workload.ts'

const SHAPE = { images: 4, height: 56, width: 56, channels: 32, outChannels: 64, kernel: 3, padding: 1 }
const WITHIN = 1e-4

function line(pass: ConvolutionTask['pass']): SpeedLine {
  const { images, height, width, channels, outChannels, kernel } = SHAPE
  const pixels = images * height * width
  const task = (workload: Workload): ConvolutionTask => ({
    kind: 'convolution',
    pass,
    ...SHAPE,
    input: workload.noise('x', pixels * channels),
    weight: workload.noise('weight', outChannels * channels * kernel * kernel),
    dOutput: workload.noise('dy', pixels * outChannels),
  })
  const opponent = (entrant: Omit<Opponent, 'task' | 'within'>): Opponent => ({ ...entrant, task, within: WITHIN })
  return {
    measures: 'speed',
    name: `jax convolution ${images}x${channels}x${height}x${width} to ${outChannels}, ${pass}`,
    ours: { ...ours(), task },
    opponents: [opponent(jaxJs), ...pytorch(1).map(opponent)],
    amount: { flop: 2 * pixels * outChannels * channels * kernel * kernel },
    unit: 'GFLOP/s',
  }
}

/** The product of matrices stands among the lines of gemm. */
export const jax: Section = { name: 'jax', lines: [line('forward'), line('weight gradient')] }
