// What happens when a training leaves the finite numbers.
import { RegraftError } from '../errors.ts'

/** What to do with a step whose loss or gradient is not finite. It is never made. */
export type OnNan = 'stop' | 'skip' | 'lower-lr'

/** Steps in a row that may be skipped: more is no bad batch, it is a bad training. */
export const MOST_SKIPPED = 10
/** Times that the learning rate is lowered, each time to a tenth. */
export const MOST_LOWERED = 3

/** The training cannot go on from here. Caught by whoever can go back to where it could. */
export class Diverged extends Error {
  /** @param finding  a sentence without its full stop, such as "The loss is NaN in epoch 2, step 7" */
  constructor(finding: string) {
    super(finding)
    this.name = 'Diverged'
  }
}

/** "The loss is NaN in epoch 2, step 7 (a.jpg, b.jpg and 30 more)"; undefined when the numbers are finite. */
export function findingOf(
  numbers: { readonly loss: number; readonly gradientNorm: number },
  where: { readonly epoch: number; readonly step: number; readonly files: readonly string[] },
): string | undefined {
  const { loss, gradientNorm } = numbers
  const wrong = Number.isFinite(loss) ? ['norm of the gradient', gradientNorm] : ['loss', loss]
  if (Number.isFinite(wrong[1])) return undefined
  const { epoch, step, files } = where
  const shown = files.slice(0, 4).join(', ') + (files.length > 4 ? ` and ${files.length - 4} more` : '')
  return `The ${wrong[0]} is ${wrong[1]} in epoch ${epoch}, step ${step} (${shown})`
}

/** The last word, when nothing helped or nothing was to be tried. */
export function divergenceError(finding: string, policy: OnNan, tried: string): RegraftError {
  const more =
    policy === 'stop'
      ? '; --on-nan lower-lr goes back to the beginning of the epoch and tries that by itself, --on-nan skip leaves such batches out'
      : ''
  return new RegraftError(
    'usage',
    `${finding}: the training diverged${tried}. No such step was made; the checkpoints and the best epoch so far are kept.\n` +
      `Begin anew with a lower --lr (a tenth is a good try) or with --clip-grad 1${more}.`,
  )
}
