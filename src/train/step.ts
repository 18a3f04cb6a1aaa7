import { throwIfAborted } from '../errors.ts'
import type { Updater } from '../optim/updater.ts'
import type { Runner } from '../runtime/runner.ts'
import { countCorrect } from './classification.ts'
import { targetsOfLabels, targetsOfShares } from './targets.ts'

/** Pictures or vectors that go through the network together. */
export interface TrainingBatch {
  /** Of mixed pictures the class of which they have most: that is what counts as right. */
  readonly labels: Int32Array
  /** f32[labels.length, classes]: how much of each class a mixed picture has; absent where pictures are as they are. */
  readonly shares?: Float32Array
  /** Files in the batch, for messages. */
  readonly names: () => readonly string[]
  /** Puts them, or only the first ones, into the input of the runner in training, or of another one of the same network. */
  write(into?: Runner, pictures?: number): void
}

/** What a step found out, before anything was changed by it. */
export interface StepGradient {
  /** Mean over the pictures of the step. */
  readonly loss: number
  readonly gradientNorm: number
  readonly correct: number
  readonly files: () => readonly string[]
}

export interface StepOptions {
  readonly runner: Runner
  readonly updater: Updater
  readonly classes: number
  readonly smoothing: number
  /** How much the pictures of each class count; all alike when absent. */
  readonly classWeights?: readonly number[] | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Takes batches until a step has its pictures, and gathers their gradient. The loss is the mean over all of them, in however many
 * batches they come. Parameters are not changed; running statistics are.
 * @returns also the milliseconds that the workers computed
 * @throws the reason of the signal
 */
export async function gatherGradient(
  batches: AsyncIterator<TrainingBatch>,
  pictures: number,
  { runner, updater, classes, smoothing, classWeights, signal }: StepOptions,
): Promise<StepGradient & { readonly computedMs: number }> {
  const { loss: kind } = runner
  if (!kind) throw new Error('this runner was not planned for training')
  const options = { loss: kind, classes, smoothing, classWeights, pictures }
  const taken: TrainingBatch[] = []
  let seen = 0
  let loss = 0
  let correct = 0
  let computedMs = 0
  while (seen < pictures) {
    const next = await batches.next()
    throwIfAborted(signal)
    if (next.done) throw new Error(`an epoch ended ${pictures - seen} pictures too early`)
    const { labels, shares } = next.value
    const count = labels.length
    seen += count
    taken.push(next.value)
    next.value.write()
    const targets = shares ? targetsOfShares(shares, options) : targetsOfLabels(labels, options)
    runner.writeTargets(targets.values, targets.weights)
    const computingSince = performance.now()
    await runner.run(count, { signal, more: seen < pictures ? [] : [updater.measure] })
    computedMs += performance.now() - computingSince
    loss += runner.losses(count).reduce((sum, each) => sum + each, 0)
    correct += countCorrect(runner.read(runner.graph.output, count), labels, classes)
  }
  const files = () => taken.flatMap((batch) => batch.names())
  return { loss, gradientNorm: updater.gradientNorm(), correct, files, computedMs }
}
