// Products of vectors with each other, summed over all of them: what covariances and normal equations are made of.
import { allocateAll } from '../kernels/arena.ts'
import type { Engine } from '../kernels/engine.ts'
import { type Call, call, SCRATCH } from '../kernels/program.ts'

/** Vectors that can be gone through several times, in pieces of whole rows. */
export interface Vectors {
  readonly columns: number
  pieces(): AsyncIterable<Float32Array>
}

/** Rows that are computed at a time. */
const BLOCK_ROWS = 512

/** f64[columns, columns]: Xᵀ·X of vectors without their mean. */
export async function sumOfProducts(
  engine: Engine,
  vectors: Vectors,
  mean: Float64Array,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const { columns } = vectors
  const stride = Math.ceil(columns / 4) * 4
  const sums = new Float64Array(columns * columns)
  const [x, c] = allocateAll(
    engine.arena,
    [BLOCK_ROWS * stride * 4, columns * stride * 4],
    'The covariance of the vectors',
  )
  const steps: Call[] = [
    call('fill', [c, 0], (columns * stride) / 4),
    call<'matmulTransposed', number>(
      'matmulTransposed',
      [x, stride, 0, 0, x, stride, c, stride, BLOCK_ROWS, columns, stride, 0, SCRATCH],
      columns,
      4,
    ),
  ]
  const program = engine.register(steps)
  try {
    for await (const block of centredBlocks(vectors, mean, stride)) {
      engine.floats(x, block.length).set(block)
      await engine.run([program], 1, signal)
      const products = engine.floats(c, columns * stride)
      for (let i = 0; i < columns; i++) {
        for (let j = 0; j < columns; j++)
          sums[i * columns + j] = (sums[i * columns + j] ?? 0) + (products[i * stride + j] ?? 0)
      }
    }
  } finally {
    engine.forget(program)
    engine.arena.free(x)
    engine.arena.free(c)
  }
  return sums
}

/** Blocks of the same number of rows, however the pieces come; the last is filled up with zeros. */
async function* centredBlocks(
  { columns, pieces }: Vectors,
  mean: Float64Array,
  stride: number,
): AsyncGenerator<Float32Array, void, undefined> {
  let block = new Float32Array(BLOCK_ROWS * stride)
  let row = 0
  for await (const piece of pieces()) {
    for (let at = 0; at < piece.length; at += columns) {
      for (let c = 0; c < columns; c++) block[row * stride + c] = (piece[at + c] ?? 0) - (mean[c] ?? 0)
      row += 1
      if (row < BLOCK_ROWS) continue
      yield block
      block = new Float32Array(BLOCK_ROWS * stride)
      row = 0
    }
  }
  if (row > 0) yield block
}
