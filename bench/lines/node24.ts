// The same networks under Node 24, on registers of 128 bits and, where engine and Node have it, of 256.
import { onnxruntimeWeb, ours } from '../entrants.ts'
import type { Opponent, Section, SpeedLine } from '../line.ts'
import { usualBuild, wideBuild } from '../ours/builds.ts'
import type { Task } from '../protocol.ts'
import type { Workload } from '../workload.ts'
import { barred, FORWARD_WITHIN, multiplyAddsOf, SIZE } from './networks.ts'
import { TRAINING_WITHIN } from './training.ts'

const FORWARD = [
  { network: 'mobilenetv2_100', images: 16, bar: 3.6 },
  { network: 'mobilenetv2_100', images: 1 },
  { network: 'resnet18', images: 8 },
] as const
const TRAIN_ALL_OVER_128_BITS = 1.15

/** @param node  path of a Node 24 */
export function node24(node: string): Section {
  const narrow = (label?: string) => ours({ node, ...(label ? { label } : {}) })
  const wide = ours({ node, build: wideBuild, label: 'regraft with 256 bits' })
  const speed = (
    name: string,
    build: string,
    images: number,
    flop: number,
    task: (workload: Workload) => Promise<Task>,
    opponents: Opponent[],
  ): SpeedLine => ({
    measures: 'speed',
    name: `node24 ${name}${build === wideBuild ? ', 256 bits' : ''}`,
    ours: { ...(build === wideBuild ? wide : narrow()), task },
    opponents,
    amount: { images, flop },
    unit: 'images/s',
  })
  const against = (task: Opponent['task'], within: number, bar?: number): Opponent => ({
    ...narrow('128 bits'),
    task,
    within,
    ...barred(bar),
  })
  const builds = [usualBuild, wideBuild]
  return {
    name: 'node24',
    lines: [
      ...FORWARD.flatMap(({ network, images, ...rest }) => {
        const task = (workload: Workload) => workload.forward(network, SIZE, images)
        const flop = 2 * images * multiplyAddsOf(network, SIZE)
        const bar = 'bar' in rest ? rest.bar : undefined
        return builds.map((build) =>
          speed(`forward ${network} batch ${images}`, build, images, flop, task, [
            ...(build === wideBuild ? [against(task, FORWARD_WITHIN)] : []),
            {
              ...onnxruntimeWeb(1, node),
              task,
              within: FORWARD_WITHIN,
              ...barred(build === wideBuild ? bar : undefined),
            },
          ]),
        )
      }),
      ...builds.map((build) => {
        const [network, images] = ['mobilenetv2_100', 16]
        const task = (workload: Workload) => workload.training(network, SIZE, images, 'all', false)
        return speed(
          `train-all ${network} batch ${images}`,
          build,
          images,
          6 * images * multiplyAddsOf(network, SIZE),
          task,
          build === wideBuild ? [against(task, TRAINING_WITHIN, TRAIN_ALL_OVER_128_BITS)] : [],
        )
      }),
    ],
  }
}
