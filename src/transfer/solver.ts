// How a head on features is found, and which options go with which way.
import { RegraftError } from '../errors.ts'
import type { LossName } from '../runtime/loss.ts'
import { isSolvable } from './loss-options.ts'
import type { Solver } from './solver-names.ts'

/** Those of `TrainOptions` that concern a solver. */
interface SolverOptions {
  readonly head?: string
  readonly loss?: LossName
  readonly solver?: Solver
  readonly strength?: number | 'auto'
  readonly neighbours?: number
  readonly pca?: number
  readonly whiten?: boolean
  readonly classWeights?: string
}

/** What holds when nobody says: a linear head is solved where its loss allows, others go step by step. */
export function solverOf({
  head = 'linear',
  loss = 'ce',
  solver,
}: Pick<SolverOptions, 'head' | 'loss' | 'solver'>): Solver {
  return solver ?? (head === 'linear' && isSolvable(loss) ? 'lbfgs' : 'gradient')
}

/** @throws RegraftError 'usage' for options without effect, or that contradict each other */
export function checkSolver(options: SolverOptions, mode: 'features' | 'head' | 'finetune'): void {
  const { head = 'linear', loss = 'ce', strength, neighbours, pca, whiten, classWeights } = options
  if (mode !== 'features') {
    for (const name of ['solver', 'neighbours', 'pca', 'whiten'] as const) {
      const value = options[name] ?? null
      if (value !== null && value !== false)
        throw new RegraftError('usage', `--${name} has a meaning only with --mode features; this is --mode ${mode}.`)
    }
    return
  }
  const solver = solverOf(options)
  const refuse = (flag: string, wanted: string) =>
    new RegraftError('usage', `${flag} has a meaning only with ${wanted}; this is --solver ${solver}.`)
  if (solver !== 'gradient' && head !== 'linear')
    throw new RegraftError(
      'usage',
      `--solver ${solver} finds no head with hidden layers: --head ${head} goes with --solver gradient.`,
    )
  const fitting: readonly LossName[] =
    solver === 'lbfgs' ? ['ce', 'bce', 'mse'] : solver === 'ridge' ? ['ce', 'mse'] : ['ce']
  if (solver !== 'gradient' && !fitting.includes(loss))
    throw new RegraftError(
      'usage',
      `--solver ${solver} goes with --loss ${fitting.join(' or ')}, not with ${loss}. Use --solver gradient.`,
    )
  const usual = solver === 'lbfgs' || solver === 'ridge'
  if (strength !== undefined && !usual && strength !== 0.1) throw refuse('--strength', '--solver lbfgs or ridge')
  if ((neighbours ?? null) !== null && solver !== 'knn') throw refuse('--neighbours', '--solver knn')
  if ((classWeights ?? null) !== null && solver !== 'lbfgs' && solver !== 'gradient')
    throw refuse('--class-weights', '--solver lbfgs or gradient')
  if (whiten && (pca ?? null) === null)
    throw new RegraftError('usage', '--whiten goes with --pca N: which components are to be whitened?')
}
