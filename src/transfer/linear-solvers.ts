// A linear head in one go: logistic regression to the optimum, ridge regression, or the nearest mean of a class.
import { RegraftError } from '../errors.ts'
import { randomStream } from '../random.ts'
import { classCentres } from '../solve/class-centres.ts'
import { type Evaluation, minimise } from '../solve/lbfgs.ts'
import { outputScale } from '../solve/output-scale.ts'
import { type LinearMap, type RidgeProblem, ridgeProblem } from '../solve/ridge.ts'
import { targetsOfLabels, targetsOfShares } from '../train/targets.ts'
import type { HeadTrainer } from './head-trainer.ts'
import type { WorkOptions } from './options.ts'
import type { Solver } from './solver-names.ts'

/** What a solver is told. */
export interface SolveOptions extends Pick<WorkOptions, 'engine' | 'signal' | 'listener'> {
  readonly solver: Exclude<Solver, 'knn' | 'gradient'>
  readonly strength: number | 'auto'
  readonly classes: number
  /** By which the losses of the classes count; all alike when absent. */
  readonly classWeights: readonly number[] | undefined
  readonly seed: number
}

const FOLDS = 5
/** Rising, so that each solution begins near the one before. */
const strengths = [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3] as const
const ridgeStrengths = Array.from({ length: 19 }, (_, at) => 10 ** (-7 + at / 2))
const MOST_ITERATIONS = 500

/** Solves the trainer's linear head on all of its vectors. @returns the strength that was taken, where the solver has one */
export async function solveHead(trainer: HeadTrainer, options: SolveOptions): Promise<number | undefined> {
  const { solver, classes, engine, signal } = options
  const { inputs, inputWidth, labels } = trainer
  if (solver === 'centroid') {
    const { map, leftOut } = await classCentres(inputs, inputWidth, labels, classes)
    put(trainer, scaledMap(map, outputScale(leftOut, labels, classes)))
    return undefined
  }
  if (solver === 'ridge') {
    const targets = trainer.shares ? Float64Array.from(trainer.shares) : oneOfMany(labels, classes)
    const given = { values: inputs, columns: inputWidth, targets, outputs: classes, signal }
    const ridge = await ridgeProblem(engine, given)
    const strength = options.strength === 'auto' ? await bestRidge(ridge, targets) : options.strength
    // Numbers stay as they are; of classes they are to become probabilities.
    const isNumbers = trainer.runner.loss?.kind === 'mse'
    const scale = isNumbers ? 1 : outputScale(await ridge.leftOut(strength), labels, classes)
    put(trainer, scaledMap(ridge.solve(strength), scale))
    return strength
  }
  const strength = options.strength === 'auto' ? await bestStrength(trainer, options) : options.strength
  await leastLoss(trainer, strength, options)
  return strength
}

/** The same order of classes, other probabilities. */
function scaledMap({ weight, bias }: LinearMap, scale: number): LinearMap {
  return { weight: weight.map((value) => scale * value), bias: bias.map((value) => scale * value) }
}

function put({ graph, store, inputWidth }: HeadTrainer, { weight, bias }: LinearMap): void {
  const layer = linearLayer(graph)
  store.write(`${layer}.weight`, { shape: [bias.length, inputWidth], data: Float32Array.from(weight) })
  store.write(`${layer}.bias`, { shape: [bias.length], data: Float32Array.from(bias) })
}

function linearLayer(graph: HeadTrainer['graph']): string {
  const layer = graph.layers.find((candidate) => candidate.op === 'linear')
  if (!layer || graph.layers.length !== 2)
    throw new RegraftError('usage', 'Only a linear head can be solved; train others by gradient.')
  return layer.name
}

/** [labels.length, classes] */
function oneOfMany(labels: Int32Array, classes: number): Float64Array {
  const targets = new Float64Array(labels.length * classes)
  for (const [row, label] of labels.entries()) targets[row * classes + label] = 1
  return targets
}

/** The strength with the least squared error on rows left out. */
async function bestRidge(ridge: RidgeProblem, targets: Float64Array): Promise<number> {
  let best = { strength: 1, error: Number.POSITIVE_INFINITY }
  for (const strength of ridgeStrengths) {
    const outputs = await ridge.leftOut(strength)
    const error = outputs.reduce((sum, output, at) => sum + (output - (targets[at] ?? 0)) ** 2, 0)
    if (error < best.error) best = { strength, error }
  }
  return best.strength
}

/**
 * The least value of the trainer's loss on its vectors: mean + |W|²/(2·strength·n), biases free. With cross-entropy it is multinomial
 * logistic regression, as scikit-learn's LogisticRegression(C = strength) on the inputs of the head.
 */
async function leastLoss(trainer: HeadTrainer, strength: number, options: SolveOptions): Promise<void> {
  const { listener, signal } = options
  const problem = lossProblem(trainer, undefined, options)
  listener?.({ type: 'phase', phase: 'solve', total: MOST_ITERATIONS, unit: 'iterations' })
  const minimum = await minimise({
    initial: new Float64Array(problem.length),
    maxIterations: MOST_ITERATIONS,
    signal,
    onIteration: ({ iteration, value }) =>
      listener?.({
        type: 'progress',
        phase: 'solve',
        done: iteration,
        total: MOST_ITERATIONS,
        detail: `loss ${value.toFixed(4)}`,
      }),
    evaluate: (x) => problem.evaluate(x, strength),
  })
  put(trainer, problem.mapOf(minimum.x))
  listener?.({ type: 'phaseEnd', phase: 'solve' })
}

/**
 * The strength with the least loss on held-out rows: each of some folds, divided by class, is held out once.
 */
async function bestStrength(trainer: HeadTrainer, options: SolveOptions): Promise<number> {
  const { listener, signal } = options
  const folds = rowFolds(trainer.labels, FOLDS, options.seed)
  const total = folds.length * strengths.length
  listener?.({ type: 'phase', phase: 'cross-validate', total, unit: 'iterations' })
  const losses = strengths.map(() => 0)
  let done = 0
  for (const heldOut of folds) {
    const held = new Set(heldOut)
    const rest = Uint32Array.from(trainer.labels.keys()).filter((row) => !held.has(row))
    const problem = lossProblem(trainer, rest, options)
    const check = lossProblem(trainer, heldOut, options)
    let x = new Float64Array(problem.length)
    for (const [at, strength] of strengths.entries()) {
      // Held-out rows do not see the last digits.
      const minimum = await minimise({
        initial: x,
        maxIterations: 200,
        gradientTolerance: 1e-4,
        functionTolerance: 1e-6,
        signal,
        evaluate: (point) => problem.evaluate(point, strength),
      })
      x = Float64Array.from(minimum.x)
      const { value } = await check.evaluate(x, Number.POSITIVE_INFINITY)
      losses[at] = (losses[at] ?? 0) + value * heldOut.length
      done += 1
      listener?.({ type: 'progress', phase: 'cross-validate', done, total })
    }
  }
  listener?.({ type: 'phaseEnd', phase: 'cross-validate' })
  const least = Math.min(...losses)
  return strengths[losses.indexOf(least)] ?? 0.1
}

/** Rows by fold, each class spread evenly over the folds; folds without rows are left out. */
function rowFolds(labels: Int32Array, folds: number, seed: number): readonly Uint32Array[] {
  const rows: number[][] = Array.from({ length: folds }, () => [])
  const byClass = new Map<number, number[]>()
  for (const [row, label] of labels.entries()) {
    const own = byClass.get(label)
    if (own) own.push(row)
    else byClass.set(label, [row])
  }
  let next = 0
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const random = randomStream({ seed, sample: label, purpose: 'folds of vectors' })
    for (const row of random.shuffle(byClass.get(label) ?? [])) rows[next++ % folds]?.push(row)
  }
  return rows.filter(({ length }) => length > 0).map((own) => Uint32Array.from(own).sort())
}

interface LossProblem {
  /** Numbers to find. */
  readonly length: number
  /** Mean loss with its penalty, and the gradient. */
  evaluate(x: Float64Array, strength: number): Promise<Evaluation>
  mapOf(x: Float64Array): LinearMap
}

/** @param members  rows that count; all of them when absent */
function lossProblem(
  trainer: HeadTrainer,
  members: Uint32Array | undefined,
  { engine, signal, classes, classWeights }: SolveOptions,
): LossProblem {
  const { runner, graph, inputWidth, chunk } = trainer
  const layer = linearLayer(graph)
  const { inputs, labels, shares } = members ? chosen(trainer, members, classes) : trainer
  const rows = labels.length
  const weightCount = classes * inputWidth
  const { loss } = runner
  if (loss === undefined) throw new Error('a head in training has a loss')
  const targetOptions = { loss, classes, smoothing: 0, classWeights, pictures: rows }
  const mapOf = (x: Float64Array) => ({ weight: x.subarray(0, weightCount), bias: x.subarray(weightCount) })
  return {
    length: weightCount + classes,
    mapOf,
    async evaluate(x, strength) {
      put(trainer, mapOf(x))
      let value = 0
      for (let at = 0; at < rows; at += chunk) {
        const count = Math.min(chunk, rows - at)
        runner.writeFloats(inputs.subarray(at * inputWidth, (at + count) * inputWidth))
        // Divided by all rows, so that the sum of all losses is their mean.
        const targets = shares
          ? targetsOfShares(shares.subarray(at * classes, (at + count) * classes), targetOptions)
          : targetsOfLabels(labels.subarray(at, at + count), targetOptions)
        runner.writeTargets(targets.values, targets.weights)
        await runner.run(count, { signal })
        value += runner.losses(count).reduce((sum, loss) => sum + loss, 0)
      }
      const gradient = new Float64Array(weightCount + classes)
      gradient.set(runner.gradient(`${layer}.weight`).data, 0)
      gradient.set(runner.gradient(`${layer}.bias`).data, weightCount)
      if (runner.zeroGradients) await engine.run([runner.zeroGradients], 1, signal)
      const penalty = 1 / (strength * rows)
      for (let index = 0; index < weightCount; index++) {
        const w = x[index] ?? 0
        value += (penalty / 2) * w * w
        gradient[index] = (gradient[index] ?? 0) + penalty * w
      }
      return { value, gradient }
    },
  }
}

/** Some rows of what a trainer has. */
function chosen(
  { inputs, labels, shares, inputWidth }: HeadTrainer,
  members: Uint32Array,
  classes: number,
): Pick<HeadTrainer, 'inputs' | 'labels' | 'shares'> {
  const values = new Float32Array(members.length * inputWidth)
  for (const [at, row] of members.entries())
    values.set(inputs.subarray(row * inputWidth, (row + 1) * inputWidth), at * inputWidth)
  let own: Float32Array | undefined
  if (shares) {
    own = new Float32Array(members.length * classes)
    for (const [at, row] of members.entries())
      own.set(shares.subarray(row * classes, (row + 1) * classes), at * classes)
  }
  return { inputs: values, labels: Int32Array.from(members, (row) => labels[row] ?? 0), shares: own }
}
