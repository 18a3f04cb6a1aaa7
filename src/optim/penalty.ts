// What large weights cost: l2/2·sum w² + l1·sum |w|, added to the loss. Its gradient joins that of the data before anything is measured.
import type { Engine } from '../kernels/engine.ts'
import { type Call, call } from '../kernels/program.ts'

export interface PenaltyStrength {
  /** λ of λ/2·sum w²; the notes' L/(2n)·sum w² has λ = L/n. */
  readonly l2: number
  /** λ of λ·sum |w|. */
  readonly l1: number
}

/** The notes' L/(2n)·sum w² and L/n·sum |w|, n training pictures. */
export function penaltyStrength({ l2, l1 }: PenaltyStrength, pictures: number): PenaltyStrength {
  return { l2: l2 / pictures, l1: l1 / pictures }
}

/** Weights that cost something: where they and their gradients lie, f32 values, a multiple of four. */
export interface PenalisedWeights {
  readonly address: number
  readonly gradient: number
  readonly length: number
}

const BLOCK = 4096

/** The calls that add the gradient of the penalty to that of the data; none where it costs nothing. */
export function penaltyGradients(
  { l2, l1 }: PenaltyStrength,
  weights: readonly PenalisedWeights[],
  grain: number,
): readonly Call[] {
  if (l2 === 0 && l1 === 0) return []
  return weights.map(({ address, gradient, length }) =>
    call<'penaltyGradient', number>('penaltyGradient', [address, gradient, l2, l1], length / 4, grain),
  )
}

/** What the weights cost now, apart from the loss of the data. */
export async function penaltyOf(
  engine: Engine,
  { l2, l1 }: PenaltyStrength,
  weights: readonly PenalisedWeights[],
): Promise<number> {
  const blocks = weights.map(({ length }) => Math.ceil(length / BLOCK))
  const total = blocks.reduce((sum, count) => sum + count, 0)
  if (total === 0 || (l2 === 0 && l1 === 0)) return 0
  const squares = engine.arena.allocate(total * 16, 'The sums of the penalty')
  const sizes = squares + total * 8
  const calls: Call[] = []
  let at = 0
  for (const [index, { address, length }] of weights.entries()) {
    const count = blocks[index] ?? 0
    calls.push(call<'sumSquares', number>('sumSquares', [address, length, squares + at * 8], count))
    calls.push(call<'sumAbsolutes', number>('sumAbsolutes', [address, length, sizes + at * 8], count))
    at += count
  }
  const program = engine.register(calls)
  try {
    await engine.run([program], 1)
    const sum = (place: number) => engine.doubles(place, total).reduce((all, each) => all + each, 0)
    return (l2 / 2) * sum(squares) + l1 * sum(sizes)
  } finally {
    engine.forget(program)
    engine.arena.free(squares)
  }
}
