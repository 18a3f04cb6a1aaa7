import { IN_PAIRS, multiplyAdd } from '../lanes'
import { scaleShiftRows } from '../normalisation/scale-shift'
import { packB } from './pack'

/** Rows of a batch that are summed in registers, from zero, before they are added to c. */
export const SUM_ROWS: i32 = 256

/** Columns of a, and of b, that are worked on at once, and where the copy of b lies in scratch. */
const A_COLUMNS: i32 = 256
const B_COLUMNS: i32 = 512
const B_OFFSET: usize = 512 * 1024
/** From so many columns on a copy pays: cache lines that lie a power of two apart push each other out. */
const WIDE: i32 = 64

/**
 * c += aᵀ·b:  c[k, n] += sum over m of a[m, k]·b[m, n].
 * a: f32[M, lda], its first K columns, or, where scaleShift (scale[lda], shift[lda]) is not null, act(a·scale + shift) in its place;
 * b: f32[M, ldb]; c: f32[K, ldc], added to, its first N columns; scratch: 1 MiB. lda, ldb, ldc and N are multiples of 4; c may not
 * overlap a or b. Blocks of 256 rows are summed from zero and added to c in order.
 * Units: rows of c, or, where byColumns is not 0, groups of 4 of its columns.
 */
export function matmulTransposed(
  a: usize,
  lda: i32,
  scaleShift: usize,
  activation: i32,
  b: usize,
  ldb: i32,
  c: usize,
  ldc: i32,
  M: i32,
  K: i32,
  N: i32,
  byColumns: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const firstRow = byColumns ? 0 : from
  const endRow = byColumns ? K : to
  const firstColumn = byColumns ? from << 2 : 0
  const endColumn = byColumns ? to << 2 : N
  const wide = endRow - firstRow >= WIDE && endColumn - firstColumn >= WIDE
  for (let k = firstRow; k < endRow; ) {
    const first = k & ~3
    const end = min(first + A_COLUMNS, endRow)
    const width = (end - first + 3) & ~3
    // An odd number of cache lines from row to row spreads a column over all sets of the cache.
    const step = wide ? ((width + 15) & ~15) | 16 : width
    for (let m = 0; m < M; m += SUM_ROWS) {
      const rows = min(SUM_ROWS, M - m)
      let aHere = a + ((<usize>m * <usize>lda + <usize>first) << 2)
      if (scaleShift) {
        const ahead = (<usize>lda) << 2
        const scale = scaleShift + ((<usize>first) << 2)
        const end = (<usize>width) << 2
        scaleShiftRows(aHere, ahead, scratch, (<usize>step) << 2, rows, scale, ahead, activation, 0, end)
      } else if (wide) copy(aHere, lda, rows, width, scratch, step)
      const copied = scaleShift != 0 || wide
      if (copied) aHere = scratch
      for (let n = firstColumn; n < endColumn; n += B_COLUMNS) {
        const columns = min(B_COLUMNS, endColumn - n)
        let bHere = b + ((<usize>m * <usize>ldb + <usize>n) << 2)
        if (wide) {
          packB(bHere, ldb, scratch + B_OFFSET, rows, columns, 0, (columns + 7) >> 3)
          bHere = scratch + B_OFFSET
        } else {
          fetch(bHere, (<usize>ldb) << 2, (<usize>columns) << 2, rows)
        }
        addTransposedBlock(
          aHere,
          copied ? step : lda,
          bHere,
          wide ? 0 : ldb,
          c + ((<usize>first * <usize>ldc + <usize>n) << 2),
          ldc,
          rows,
          columns,
          k - first,
          end - first,
        )
      }
    }
    k = end
  }
}

/** Brings rows of b into the caches, line by line as they lie. A load could trap, so that no optimiser removes it. */
function fetch(b: usize, step: usize, bytes: usize, rows: i32): void {
  for (; rows > 0; rows--) {
    const end = b + bytes
    for (let line = b; line < end; line += 64) load<i32>(line)
    b += step
  }
}

/** out = the first `width` columns of so many rows of a; out: f32[rows, step]. */
function copy(a: usize, lda: i32, rows: i32, width: i32, out: usize, step: i32): void {
  const bytes = (<usize>width) << 2
  for (; rows > 0; rows--) {
    for (let c: usize = 0; c < bytes; c += 16) v128.store(out + c, v128.load(a + c))
    a += (<usize>lda) << 2
    out += (<usize>step) << 2
  }
}

/**
 * c += aᵀ·b for at most 256 rows of a and b, rows from … to - 1 of c. b is row-major, or, where ldb is 0, as `packB` leaves it.
 */
export function addTransposedBlock(
  a: usize,
  lda: i32,
  b: usize,
  ldb: i32,
  c: usize,
  ldc: i32,
  rows: i32,
  N: i32,
  from: i32,
  to: i32,
): void {
  // The columns that share a cache line of a follow each other for every panel of b, so that they are fetched once.
  for (let k = from; k < to; ) {
    const end = min(to, (k + 16) & ~15)
    for (let n = 0; n < N; ) {
      const width = IN_PAIRS && N - n >= 16 ? 16 : N - n >= 8 ? 8 : 4
      const panel = b + ((<usize>n) << 2) * <usize>(ldb ? 1 : rows)
      const step = ldb ? (<usize>ldb) << 2 : width == 4 ? 16 : 32
      const next: usize = ldb ? 32 : (<usize>rows) << 5
      addColumns(a, (<usize>lda) << 2, panel, step, next, c + ((<usize>n) << 2), (<usize>ldc) << 2, rows, width, k, end)
      n += width
    }
    k = end
  }
}

/** The same for 16, 8 or 4 columns of b, and steps in bytes; of 16 columns the second eight are `next` bytes behind the first. */
function addColumns(
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  next: usize,
  c: usize,
  cStep: usize,
  rows: i32,
  width: i32,
  from: i32,
  to: i32,
): void {
  // A tile always reads four columns of a. The last one, where fewer are left, starts earlier if it would read past the row's
  // end, and adds only the rows that are asked for.
  const last = min(from + ((to - from) & ~3), <i32>(aStep >> 2) - 4)
  let k = from
  if (IN_PAIRS && width == 16) {
    for (; k + 4 <= to; k += 4) addTile16(a, aStep, k, b, bStep, next, rows, c, cStep, 0, 4)
    if (k < to) addTile16(a, aStep, last, b, bStep, next, rows, c, cStep, k - last, to - last)
  } else if (width == 8) {
    for (; k + 4 <= to; k += 4) addTile8(a, aStep, k, b, bStep, rows, c, cStep, 0, 4)
    if (k < to) addTile8(a, aStep, last, b, bStep, rows, c, cStep, k - last, to - last)
  } else {
    for (; k + 4 <= to; k += 4) addTile4(a, aStep, k, b, bStep, rows, c, cStep, 0, 4)
    if (k < to) addTile4(a, aStep, last, b, bStep, rows, c, cStep, k - last, to - last)
  }
}

/** The same as `addTile8` with 16 columns of b, the second eight `next` bytes behind the first. Fast where V8 fuses to 256 bits. */
function addTile16(
  a: usize,
  aStep: usize,
  k: i32,
  b: usize,
  bStep: usize,
  next: usize,
  rows: i32,
  c: usize,
  cStep: usize,
  top: i32,
  bottom: i32,
): void {
  a += (<usize>k) << 2
  c += <usize>k * cStep
  const end = a + <usize>rows * aStep
  let d = b + next
  let c00 = f32x4.splat(0)
  let c01 = c00
  let c02 = c00
  let c03 = c00
  let c10 = c00
  let c11 = c00
  let c12 = c00
  let c13 = c00
  let c20 = c00
  let c21 = c00
  let c22 = c00
  let c23 = c00
  let c30 = c00
  let c31 = c00
  let c32 = c00
  let c33 = c00
  while (a < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const b2 = v128.load(d)
    const b3 = v128.load(d, 16)
    const x0 = v128.load32_splat(a)
    c00 = multiplyAdd(x0, b0, c00)
    c01 = multiplyAdd(x0, b1, c01)
    c02 = multiplyAdd(x0, b2, c02)
    c03 = multiplyAdd(x0, b3, c03)
    const x1 = v128.load32_splat(a, 4)
    c10 = multiplyAdd(x1, b0, c10)
    c11 = multiplyAdd(x1, b1, c11)
    c12 = multiplyAdd(x1, b2, c12)
    c13 = multiplyAdd(x1, b3, c13)
    const x2 = v128.load32_splat(a, 8)
    c20 = multiplyAdd(x2, b0, c20)
    c21 = multiplyAdd(x2, b1, c21)
    c22 = multiplyAdd(x2, b2, c22)
    c23 = multiplyAdd(x2, b3, c23)
    const x3 = v128.load32_splat(a, 12)
    c30 = multiplyAdd(x3, b0, c30)
    c31 = multiplyAdd(x3, b1, c31)
    c32 = multiplyAdd(x3, b2, c32)
    c33 = multiplyAdd(x3, b3, c33)
    a += aStep
    b += bStep
    d += bStep
  }
  if (top <= 0) addRow16(c, c00, c01, c02, c03)
  if (top <= 1 && bottom > 1) addRow16(c + cStep, c10, c11, c12, c13)
  if (top <= 2 && bottom > 2) addRow16(c + 2 * cStep, c20, c21, c22, c23)
  if (bottom > 3) addRow16(c + 3 * cStep, c30, c31, c32, c33)
}

// @ts-ignore: decorator
@inline
function addRow16(c: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  addRow8(c, x0, x1)
  addRow8(c + 32, x2, x3)
}

/**
 * c[k + i, 0…7] += sum over the rows of a[m, k + i]·b[m, 0…7], for top <= i < bottom out of 0…3. Steps in bytes.
 * Two places call it, so that it stays a function of its own (see tile.ts).
 */
function addTile8(
  a: usize,
  aStep: usize,
  k: i32,
  b: usize,
  bStep: usize,
  rows: i32,
  c: usize,
  cStep: usize,
  top: i32,
  bottom: i32,
): void {
  a += (<usize>k) << 2
  c += <usize>k * cStep
  const end = a + <usize>rows * aStep
  let c00 = f32x4.splat(0)
  let c01 = c00
  let c10 = c00
  let c11 = c00
  let c20 = c00
  let c21 = c00
  let c30 = c00
  let c31 = c00
  while (a < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const x0 = v128.load32_splat(a)
    c00 = multiplyAdd(x0, b0, c00)
    c01 = multiplyAdd(x0, b1, c01)
    const x1 = v128.load32_splat(a, 4)
    c10 = multiplyAdd(x1, b0, c10)
    c11 = multiplyAdd(x1, b1, c11)
    const x2 = v128.load32_splat(a, 8)
    c20 = multiplyAdd(x2, b0, c20)
    c21 = multiplyAdd(x2, b1, c21)
    const x3 = v128.load32_splat(a, 12)
    c30 = multiplyAdd(x3, b0, c30)
    c31 = multiplyAdd(x3, b1, c31)
    a += aStep
    b += bStep
  }
  if (top <= 0) addRow8(c, c00, c01)
  if (top <= 1 && bottom > 1) addRow8(c + cStep, c10, c11)
  if (top <= 2 && bottom > 2) addRow8(c + 2 * cStep, c20, c21)
  if (bottom > 3) addRow8(c + 3 * cStep, c30, c31)
}

// @ts-ignore: decorator
@inline
function addRow8(c: usize, x0: v128, x1: v128): void {
  const y0 = f32x4.add(v128.load(c), x0)
  const y1 = f32x4.add(v128.load(c, 16), x1)
  v128.store(c, y0)
  v128.store(c, y1, 16)
}

/** The same with 4 columns. */
function addTile4(
  a: usize,
  aStep: usize,
  k: i32,
  b: usize,
  bStep: usize,
  rows: i32,
  c: usize,
  cStep: usize,
  top: i32,
  bottom: i32,
): void {
  a += (<usize>k) << 2
  c += <usize>k * cStep
  const end = a + <usize>rows * aStep
  let c0 = f32x4.splat(0)
  let c1 = c0
  let c2 = c0
  let c3 = c0
  while (a < end) {
    const b0 = v128.load(b)
    c0 = multiplyAdd(v128.load32_splat(a), b0, c0)
    c1 = multiplyAdd(v128.load32_splat(a, 4), b0, c1)
    c2 = multiplyAdd(v128.load32_splat(a, 8), b0, c2)
    c3 = multiplyAdd(v128.load32_splat(a, 12), b0, c3)
    a += aStep
    b += bStep
  }
  if (top <= 0) addRow4(c, c0)
  if (top <= 1 && bottom > 1) addRow4(c + cStep, c1)
  if (top <= 2 && bottom > 2) addRow4(c + 2 * cStep, c2)
  if (bottom > 3) addRow4(c + 3 * cStep, c3)
}

function addRow4(c: usize, x: v128): void {
  v128.store(c, f32x4.add(v128.load(c), x))
}
