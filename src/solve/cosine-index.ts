// Nearest vectors by cosine. The kernels compute all scores in 32 bits; whatever their rounding leaves in doubt is decided in float64, so
// the result is that of float64 throughout.
import { breathing } from '../breath.ts'
import type { Engine, RegisteredProgram } from '../kernels/engine.ts'
import { call, SCRATCH } from '../kernels/program.ts'

/** Vectors that are read when they are wanted. */
export interface VectorSource {
  readonly rows: number
  readonly columns: number
  /** @returns f32[count, columns] */
  readRows(first: number, count: number): Promise<Float32Array>
}

/** A vector and its cosine to the one that was asked about, in float64. */
export interface Neighbour {
  readonly row: number
  readonly score: number
}

/** Two vectors, the first before the second. */
export interface Pair {
  readonly first: number
  readonly second: number
  readonly score: number
}

/** Vectors in the memory of an engine. Those with a value that is not finite are never found; those of zeros have cosine 0 to all. */
export interface CosineIndex {
  /**
   * The nearest to each query: falling scores, among equals the first row.
   * @param queries  f32[n, columns]; one with a value that is not finite finds nothing
   */
  search(queries: Float32Array, count: number, signal?: AbortSignal): Promise<Neighbour[][]>
  /**
   * All pairs of at least a score, by their first row.
   * @param onProgress  told how many rows were compared with all after them
   */
  pairs(
    smallestScore: number,
    options?: { readonly signal?: AbortSignal | undefined; onProgress?(rows: number): void },
  ): AsyncGenerator<Pair, void, undefined>
  close(): void
}

/** Queries that go through the vectors together, and vectors that are scored at a time. */
const QUERIES = 32
const CHUNK_ROWS = 32_768
const READ_ROWS = 4096

/** Bytes that an index takes for each vector. */
export function bytesPerVector(columns: number): number {
  return strideOf(columns) * 4
}

function strideOf(columns: number): number {
  return Math.ceil(columns / 4) * 4
}

/**
 * Reads vectors into memory.
 * @throws RegraftError 'memory' when they do not fit
 */
export async function openCosineIndex(
  engine: Engine,
  source: VectorSource,
  signal?: AbortSignal,
): Promise<CosineIndex> {
  const { rows, columns } = source
  const { arena } = engine
  const stride = strideOf(columns)
  const advice = 'Raise --max-memory, at most 4GiB, or shorten the vectors (embed --pca).'
  const held: number[] = []
  const allocate = (floats: number) => {
    const address = arena.allocate(floats * 4, `Comparing ${rows} vectors of ${columns} values`, advice)
    held.push(address)
    return address
  }
  const close = () => {
    for (const address of held.splice(0)) arena.free(address)
  }
  try {
    const vectors = allocate(rows * stride)
    const asked = allocate(QUERIES * stride)
    const packed = allocate(columns * QUERIES)
    const scores = allocate(Math.min(CHUNK_ROWS, Math.max(1, rows)) * QUERIES)
    const inverse = new Float64Array(rows)
    for (let first = 0; first < rows; first += READ_ROWS) {
      signal?.throwIfAborted()
      const count = Math.min(READ_ROWS, rows - first)
      const values = await source.readRows(first, count)
      const target = engine.floats(vectors + first * stride * 4, count * stride)
      if (stride === columns) target.set(values)
      else
        for (let row = 0; row < count; row++)
          target.set(values.subarray(row * columns, (row + 1) * columns), row * stride)
      for (let row = 0; row < count; row++) inverse[first + row] = inverseLength(values, row * columns, columns)
    }
    const rowOf = (row: number) => engine.floats(vectors + row * stride * 4, columns)
    const place = { engine, rows, columns, stride, vectors, asked, packed, scores }
    return {
      search: (queries, count, signal) => search({ ...place, inverse, rowOf }, queries, count, signal),
      pairs: (smallestScore, options = {}) => pairs({ ...place, inverse, rowOf }, smallestScore, options),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

interface Place {
  readonly engine: Engine
  readonly rows: number
  readonly columns: number
  readonly stride: number
  readonly vectors: number
  readonly asked: number
  readonly packed: number
  readonly scores: number
}

interface Index extends Place {
  /** 1 / length of each row; 0 for zeros, NaN where a value is not finite. */
  readonly inverse: Float64Array
  rowOf(row: number): Float32Array
}

function inverseLength(values: Float32Array, from: number, columns: number): number {
  let squares = 0
  for (let at = from; at < from + columns; at++) squares += (values[at] ?? 0) ** 2
  if (!Number.isFinite(squares)) return Number.NaN
  return squares === 0 ? 0 : 1 / Math.sqrt(squares)
}

/**
 * What a score of the kernels may be off: columns + 1 roundings of products whose sizes add up to 1 at most, the rounding of the
 * query's values, and that of the score itself.
 */
function doubtOf(columns: number): number {
  return (columns + 4) * 2 ** -24
}

/** Scores of all rows from `from` on, chunk by chunk: f32[rows of the chunk, width], not yet divided by the rows' lengths. */
async function* scored(
  { engine, rows, columns, stride, vectors, asked, packed, scores }: Place,
  queries: readonly Float32Array[],
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<{
  readonly first: number
  readonly count: number
  readonly width: number
  readonly values: Float32Array
}> {
  const width = Math.ceil(queries.length / 4) * 4
  const matrix = engine.floats(asked, queries.length * stride)
  for (const [at, query] of queries.entries()) matrix.set(query, at * stride)
  const pack = engine.register([
    call('packBTransposed', [asked, stride, packed, columns, queries.length], Math.ceil(width / 8)),
  ])
  await engine.run([pack], 1, signal)
  engine.forget(pack)
  for (let first = from; first < rows; first += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, rows - first)
    const program: RegisteredProgram = engine.register([
      call<'matmul', number>(
        'matmul',
        [vectors + first * stride * 4, stride, packed, scores, width, width, columns, 0, 0, 0, SCRATCH],
        count,
      ),
    ])
    try {
      await engine.run([program], 1, signal)
    } finally {
      engine.forget(program)
    }
    yield { first, count, width, values: engine.floats(scores, count * width) }
  }
}

async function search(
  index: Index,
  queries: Float32Array,
  count: number,
  signal: AbortSignal | undefined,
): Promise<Neighbour[][]> {
  const { columns, inverse, rowOf } = index
  const breath = breathing()
  const doubt = doubtOf(columns)
  const asked = Array.from({ length: queries.length / columns }, (_, at) => {
    const query = queries.subarray(at * columns, (at + 1) * columns)
    const scale = inverseLength(query, 0, columns)
    return { query, scale, unit: query.map((value) => value * scale) }
  })
  const found: Neighbour[][] = []
  for (let from = 0; from < asked.length; from += QUERIES) {
    const group = asked.slice(from, from + QUERIES)
    const best = group.map(() => candidates(count, 2 * doubt))
    const units = group.map(({ unit }) => unit)
    for await (const { first, count: here, width, values } of scored(index, units, 0, signal)) {
      for (const [at, list] of best.entries()) {
        if (!Number.isFinite(group[at]?.scale)) continue
        for (let row = 0; row < here; row++) {
          const length = inverse[first + row] ?? 0
          const score = (values[row * width + at] ?? 0) * length
          // What overflowed on its way is looked at again in float64.
          if (!(score < list.least) && !Number.isNaN(length)) list.add(first + row, score)
        }
        if (breath.due()) await breath.pause()
      }
    }
    for (const [at, list] of best.entries()) {
      const { query = new Float32Array(), scale = 0 } = group[at] ?? {}
      const exact = list.rows().map((row) => ({ row, score: cosine(query, scale, rowOf(row), inverse[row] ?? 0) }))
      found.push(exact.sort((a, b) => b.score - a.score || a.row - b.row).slice(0, count))
    }
  }
  return found
}

function cosine(a: Float32Array, inverseA: number, b: Float32Array, inverseB: number): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0)
  return sum * inverseA * inverseB
}

/** The best so far, and all that may be as good when looked at closely. */
function candidates(count: number, doubt: number) {
  let kept: { row: number; score: number }[] = []
  let room = 4 * count + 64
  const rank = (score: number) => (Number.isNaN(score) ? Number.POSITIVE_INFINITY : score)
  return {
    /** Scores below this are out of the question. */
    least: Number.NEGATIVE_INFINITY,
    add(row: number, score: number): void {
      kept.push({ row, score })
      if (kept.length < room) return
      kept.sort((a, b) => rank(b.score) - rank(a.score))
      this.least = rank(kept[count - 1]?.score ?? Number.NEGATIVE_INFINITY) - doubt
      if (this.least === Number.POSITIVE_INFINITY) this.least = Number.NEGATIVE_INFINITY
      kept = kept.filter(({ score }) => !(score < this.least))
      room = Math.max(room, 2 * kept.length)
    },
    rows: () => kept.map(({ row }) => row),
  }
}

async function* pairs(
  index: Index,
  smallestScore: number,
  { signal, onProgress }: { readonly signal?: AbortSignal | undefined; onProgress?(rows: number): void },
): AsyncGenerator<Pair, void, undefined> {
  const { rows, columns, inverse, rowOf } = index
  const breath = breathing()
  const least = smallestScore - doubtOf(columns)
  for (let from = 0; from < rows; from += QUERIES) {
    const group = Array.from({ length: Math.min(QUERIES, rows - from) }, (_, at) => from + at)
    const units = group.map((row) => rowOf(row).map((value) => value * (inverse[row] ?? 0)))
    const found: Pair[] = []
    for await (const { first, count, width, values } of scored(index, units, from, signal)) {
      for (const [at, query] of group.entries()) {
        if (!Number.isFinite(inverse[query])) continue
        for (let row = Math.max(0, query + 1 - first); row < count; row++) {
          const length = inverse[first + row] ?? 0
          if ((values[row * width + at] ?? 0) * length < least || Number.isNaN(length)) continue
          const score = cosine(rowOf(query), inverse[query] ?? 0, rowOf(first + row), length)
          if (score >= smallestScore) found.push({ first: query, second: first + row, score })
        }
        if (breath.due()) await breath.pause()
      }
    }
    found.sort((a, b) => a.first - b.first || a.second - b.second)
    yield* found
    onProgress?.(from + group.length)
  }
}
