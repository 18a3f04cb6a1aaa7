import { type Breath, breathing } from '../breath.ts'
import { throwIfAborted } from '../errors.ts'

/** Eigenvalues in falling order, and their vectors: row i belongs to value i, has length 1, and its largest part is positive. */
export interface Eigen {
  readonly values: Float64Array
  /** f64[n, n] */
  readonly vectors: Float64Array
}

/**
 * All eigenvalues and eigenvectors of a symmetric matrix, by Householder reflections to a tridiagonal one and implicit QL steps, in
 * float64 with every sum in a fixed order.
 * @param matrix  f64[n, n]; overwritten
 * @throws RegraftError 'interrupted'
 * @see Golub & Van Loan 2013, Matrix Computations, 8.3
 */
export async function symmetricEigen(matrix: Float64Array, n: number, signal?: AbortSignal): Promise<Eigen> {
  const breath = breathing()
  const pause = async () => {
    await breath.pause()
    throwIfAborted(signal)
  }
  const row = (a: Float64Array, i: number) => a.subarray(i * n, (i + 1) * n)
  const diagonal = new Float64Array(n)
  const beside = new Float64Array(n)

  // A becomes H·A·H, column by column; the reflections stay in its lower rows as unit vectors times sqrt(2).
  const reflections: Float64Array[] = []
  for (let k = 0; k + 2 < n; k++) {
    const v = row(matrix, k).slice(k + 1)
    diagonal[k] = matrix[k * n + k] ?? 0
    beside[k] = reflect(v)
    reflections.push(v)
    // With p = A·v and w = p - (pᵀv / 2)·v, the matrix below becomes A - v·wᵀ - w·vᵀ.
    const m = v.length
    const w = new Float64Array(m)
    for (let i = 0; i < m; i++) {
      const a = row(matrix, k + 1 + i).subarray(k + 1)
      let sum = 0
      for (let j = 0; j < m; j++) sum += (a[j] ?? 0) * (v[j] ?? 0)
      w[i] = sum
      if (breath.due()) await pause()
    }
    let half = 0
    for (let i = 0; i < m; i++) half += (w[i] ?? 0) * (v[i] ?? 0)
    half /= 2
    for (let i = 0; i < m; i++) w[i] = (w[i] ?? 0) - half * (v[i] ?? 0)
    for (let i = 0; i < m; i++) {
      const a = row(matrix, k + 1 + i).subarray(k + 1)
      const vi = v[i] ?? 0
      const wi = w[i] ?? 0
      for (let j = 0; j < m; j++) a[j] = (a[j] ?? 0) - vi * (w[j] ?? 0) - wi * (v[j] ?? 0)
      if (breath.due()) await pause()
    }
  }
  if (n >= 2) {
    diagonal[n - 2] = matrix[(n - 2) * n + n - 2] ?? 0
    beside[n - 2] = matrix[(n - 2) * n + n - 1] ?? 0
  }
  if (n >= 1) diagonal[n - 1] = matrix[n * n - 1] ?? 0

  // Rows of Qᵀ, Q being the product of all reflections: the last is applied first, to what is still small.
  const vectors = matrix.fill(0)
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1
  for (let k = reflections.length - 1; k >= 0; k--) {
    const v = reflections[k] ?? new Float64Array()
    for (let i = k + 1; i < n; i++) {
      const a = row(vectors, i).subarray(k + 1)
      let sum = 0
      for (let j = 0; j < v.length; j++) sum += (a[j] ?? 0) * (v[j] ?? 0)
      for (let j = 0; j < v.length; j++) a[j] = (a[j] ?? 0) - sum * (v[j] ?? 0)
      if (breath.due()) await pause()
    }
  }
  await diagonalise(diagonal, beside, vectors, n, breath, pause)

  const order = [...diagonal.keys()].sort((a, b) => (diagonal[b] ?? 0) - (diagonal[a] ?? 0) || a - b)
  const sorted = new Float64Array(n * n)
  for (const [at, from] of order.entries()) {
    const vector = row(vectors, from)
    const sign = largestPart(vector) < 0 ? -1 : 1
    for (let j = 0; j < n; j++) sorted[at * n + j] = sign * (vector[j] ?? 0)
    if (breath.due()) await pause()
  }
  return { values: Float64Array.from(order, (from) => diagonal[from] ?? 0), vectors: sorted }
}

/**
 * Makes x the vector v of a reflection 1 - v·vᵀ that leaves of x its first part alone.
 * @returns that part
 */
function reflect(x: Float64Array): number {
  let scale = 0
  for (const part of x) scale = Math.max(scale, Math.abs(part))
  if (scale === 0) return 0
  let squares = 0
  for (const part of x) squares += (part / scale) ** 2
  const first = x[0] ?? 0
  const length = scale * Math.sqrt(squares)
  const left = first > 0 ? -length : length
  x[0] = first - left
  let norm = 0
  for (const part of x) norm += (part / scale) ** 2
  const factor = Math.SQRT2 / (scale * Math.sqrt(norm))
  for (let i = 0; i < x.length; i++) x[i] = (x[i] ?? 0) * factor
  return left
}

/** Sixty steps for one value are far more than are ever needed; a value that is not finite needs them all. */
const MOST_STEPS = 60

/** Implicit QL steps with Wilkinson's shift, until nothing is left beside the diagonal; the rotations go to rows of `vectors`. */
async function diagonalise(
  diagonal: Float64Array,
  beside: Float64Array,
  vectors: Float64Array,
  n: number,
  breath: Breath,
  pause: () => Promise<void>,
): Promise<void> {
  const at = (values: Float64Array, i: number) => values[i] ?? 0
  // What is smaller than the rounding of the whole matrix is zero: values near zero cannot be had any better.
  let norm = 0
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(at(diagonal, i)) + Math.abs(at(beside, i)))
  const negligible = Number.EPSILON * norm
  for (let low = 0; low < n; low++) {
    for (let step = 0; ; step++) {
      let high = low
      while (high + 1 < n && !(Math.abs(at(beside, high)) <= negligible)) high += 1
      if (high === low) break
      if (step === MOST_STEPS) throw new RangeError('The eigenvalues of a matrix were not found: is it finite?')
      const e = at(beside, low)
      let g = (at(diagonal, low + 1) - at(diagonal, low)) / (2 * e)
      const root = Math.sqrt(g * g + 1)
      g = at(diagonal, high) - at(diagonal, low) + e / (g + (g < 0 ? -root : root))
      let sine = 1
      let cosine = 1
      let shift = 0
      let i = high - 1
      for (; i >= low; i--) {
        const f = sine * at(beside, i)
        const b = cosine * at(beside, i)
        const r = Math.sqrt(f * f + g * g)
        beside[i + 1] = r
        if (r === 0) {
          diagonal[i + 1] = at(diagonal, i + 1) - shift
          beside[high] = 0
          break
        }
        sine = f / r
        cosine = g / r
        g = at(diagonal, i + 1) - shift
        const s = (at(diagonal, i) - g) * sine + 2 * cosine * b
        shift = sine * s
        diagonal[i + 1] = g + shift
        g = cosine * s - b
        rotate(vectors.subarray(i * n, (i + 1) * n), vectors.subarray((i + 1) * n, (i + 2) * n), cosine, sine)
        if (breath.due()) await pause()
      }
      if (i >= low) continue
      diagonal[low] = at(diagonal, low) - shift
      beside[low] = g
      beside[high] = 0
    }
  }
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let j = 0; j < a.length; j++) {
    const x = a[j] ?? 0
    const y = b[j] ?? 0
    b[j] = sine * x + cosine * y
    a[j] = cosine * x - sine * y
  }
}

function largestPart(vector: Float64Array): number {
  let largest = 0
  for (const part of vector) if (Math.abs(part) > Math.abs(largest)) largest = part
  return largest
}
