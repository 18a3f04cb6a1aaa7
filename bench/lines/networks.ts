// Whole networks at 224 pixels, pictures in, logits out. Ours starts from bytes and normalises them; the others get normalised floats.
import { costOf } from '../../src/graph/cost.ts'
import { onnxruntimeNode, onnxruntimeWeb, ours, pytorch, tfjsWasm } from '../entrants.ts'
import type { Opponent, Section, SpeedLine } from '../line.ts'
import { otherBuild } from '../ours/builds.ts'
import { graphOfTask } from '../ours/networks.ts'
import { CLASSES, type Workload } from '../workload.ts'

export const SIZE = 224
/** Relative difference of the logits. */
export const FORWARD_WITHIN = 1e-4
const TWO_THREADS = 1.7
/** From this batch on a second thread must pay. */
const LARGE_BATCH = 8

/** Our speed over theirs with one thread, at least. */
interface Bars {
  readonly onnxruntimeWeb?: number
  readonly tfjsWasm?: number
  readonly pytorch?: number
  readonly pytorchChannelsLast?: number
}

const NETWORKS: readonly { readonly network: string; readonly images: number; readonly bars: Bars }[] = [
  {
    network: 'mobilenetv2_100',
    images: 16,
    bars: { onnxruntimeWeb: 2.5, tfjsWasm: 2, pytorch: 1.8, pytorchChannelsLast: 1.15 },
  },
  { network: 'mobilenetv2_100', images: 1, bars: { onnxruntimeWeb: 2.4 } },
  { network: 'mobilenetv1_100', images: 16, bars: {} },
  { network: 'resnet18', images: 8, bars: { onnxruntimeWeb: 2.4, tfjsWasm: 2.1 } },
  { network: 'resnet18', images: 1, bars: {} },
]

/** Multiply-adds of one picture. */
export function multiplyAddsOf(network: string, size: number): number {
  return costOf(graphOfTask({ network, classes: CLASSES, size, images: 1, mean: 0.5, std: 0.5 })).multiplyAdds
}

/** PyTorch in both memory formats. */
export function bothFormats(
  threads: number,
  make: (channelsLast: boolean) => Omit<Opponent, 'label' | 'command' | 'threads'>,
): Opponent[] {
  return [
    ...pytorch(threads, 'NCHW').map((entrant) => ({ ...entrant, ...make(false) })),
    ...pytorch(threads, 'channels_last').map((entrant) => ({ ...entrant, ...make(true) })),
  ]
}

export const barred = (bar: number | undefined): { bar?: number } => (bar === undefined ? {} : { bar })

function line(network: string, images: number, bars: Bars, threads: 1 | 2): SpeedLine {
  const task = (workload: Workload) => workload.forward(network, SIZE, images)
  const inFormat = (channelsLast: boolean) => async (workload: Workload) => ({
    ...(await task(workload)),
    channelsLast,
  })
  const alone = threads === 1
  const within = FORWARD_WITHIN
  const oneThread: Opponent = {
    ...ours({ label: 'one thread' }),
    task,
    within: 0,
    ...barred(images >= LARGE_BATCH ? TWO_THREADS : undefined),
  }
  return {
    measures: 'speed',
    name: `forward ${network} batch ${images}${alone ? '' : ', 2 threads'}`,
    ours: { ...ours({ threads }), task },
    opponents: [
      ...(alone ? [] : [oneThread]),
      { ...onnxruntimeWeb(threads), task, within, ...barred(alone ? bars.onnxruntimeWeb : undefined) },
      ...(alone ? [{ ...tfjsWasm, task, within, ...barred(bars.tfjsWasm) }] : []),
      ...bothFormats(threads, (channelsLast) => ({
        task: inFormat(channelsLast),
        within,
        ...barred(alone ? (channelsLast ? bars.pytorchChannelsLast : bars.pytorch) : undefined),
      })),
      { ...onnxruntimeNode(threads), task, within },
    ],
    witnesses: [{ ...ours({ build: otherBuild, label: 'other build' }), task, within }],
    amount: { images, flop: 2 * images * multiplyAddsOf(network, SIZE) },
    unit: 'images/s',
  }
}

export const networks: Section = {
  name: 'networks',
  lines: ([1, 2] as const).flatMap((threads) =>
    NETWORKS.map(({ network, images, bars }) => line(network, images, bars, threads)),
  ),
}
