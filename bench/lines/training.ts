// Steps of training MobileNetV2 at 224 pixels, batch 16, by SGD with momentum.
import { ours } from '../entrants.ts'
import type { Opponent, Section, SpeedLine } from '../line.ts'
import type { Part, Workload } from '../workload.ts'
import { barred, bothFormats, multiplyAddsOf, SIZE } from './networks.ts'

export const NETWORK = 'mobilenetv2_100'
export const IMAGES = 16
/**
 * Relative difference of loss, norm of all gradients, and weights after a step. In f32 some activations fall on the other side of a
 * kink: the gradients of two implementations differ by up to some percent in the first layers, PyTorch's two formats among them.
 */
export const TRAINING_WITHIN = 2e-3
/** The output, the gradient of the input and the gradient of the weights cost a forward pass each. */
const PASSES = 3

interface Step {
  readonly name: string
  readonly threads?: 1 | 2
  /** What trains: all; the last three blocks (blocks.5.1, blocks.5.2, blocks.6.0), conv_head, bn2 and classifier; the classifier. */
  readonly part: Part
  /** Whether ours starts with the activations in front of that part. */
  readonly kept: boolean
  /** Whether PyTorch does. */
  readonly theirsKept: readonly boolean[]
  readonly bars: { readonly nchw?: number; readonly channelsLast?: number }
}

const STEPS: readonly Step[] = [
  { name: 'train-all', part: 'all', kept: false, theirsKept: [false], bars: { nchw: 1.4, channelsLast: 1 } },
  { name: 'train-all', threads: 2, part: 'all', kept: false, theirsKept: [false], bars: { channelsLast: 1.2 } },
  { name: 'train-last3', part: 'last:3', kept: false, theirsKept: [false], bars: { nchw: 1.15 } },
  { name: 'train-last3-kept', part: 'last:3', kept: true, theirsKept: [false, true], bars: { nchw: 2.5 } },
  { name: 'train-head-kept', part: 'head', kept: true, theirsKept: [true], bars: {} },
]

const HEAD_IMAGES_PER_SECOND = 3000

function line({ name, threads = 1, part, kept, theirsKept, bars }: Step): SpeedLine {
  const task = (workload: Workload) => workload.training(NETWORK, SIZE, IMAGES, part, kept)
  const opponents = theirsKept.flatMap((theyKeep) =>
    bothFormats(threads, (channelsLast) => ({
      task: async (workload) => ({ ...(await workload.training(NETWORK, SIZE, IMAGES, part, theyKeep)), channelsLast }),
      within: TRAINING_WITHIN,
      // Against a peer that keeps nothing where we do; with the same kept the ratio is printed alone.
      ...barred(theyKeep ? undefined : channelsLast ? bars.channelsLast : bars.nchw),
    })).map((opponent) => (kept && theyKeep ? { ...opponent, label: `${opponent.label}, kept` } : opponent)),
  )
  const oneThread: Opponent = { ...ours({ label: 'one thread' }), task, within: 0 }
  return {
    measures: 'speed',
    name: `${name} ${NETWORK} batch ${IMAGES}${threads === 2 ? ', 2 threads' : ''}`,
    ours: { ...ours({ threads }), task },
    opponents: [...(threads === 2 ? [oneThread] : []), ...opponents],
    amount: {
      images: IMAGES,
      ...(part === 'all' ? { flop: 2 * PASSES * IMAGES * multiplyAddsOf(NETWORK, SIZE) } : {}),
    },
    unit: 'images/s',
  }
}

export const training: Section = {
  name: 'training',
  lines: STEPS.map(line),
  verdict(results) {
    const head = results.find(({ name }) => name.startsWith('train-head-kept'))
    if (!head) return []
    const text = `a head learns ${head.ours.median.toFixed(0)} images/s, ${HEAD_IMAGES_PER_SECOND} should do`
    return [{ text, holds: head.ours.median >= HEAD_IMAGES_PER_SECOND }]
  },
}
