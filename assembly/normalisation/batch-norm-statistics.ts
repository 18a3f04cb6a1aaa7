// Sums over the rows of a matrix x f32[M, S], by blocks of its rows. A block is walked in strips of 512 channels, so that its
// second pass finds the strip in the cache, and eight rows at a time, added as a tree.

/** Bytes of a strip: 512 channels, so half a MiB in 256 rows (64 channels: 20 in place of 24 GB/s at 784x1280). */
const STRIP: usize = 2048

/** partials[block] = mean[S], sum of squared deviations from that mean[S].  Units are blocks of `blockRows` rows. */
export function batchNormStatistics(
  x: usize,
  S: i32,
  M: i32,
  blockRows: i32,
  partials: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  for (let block = from; block < to; block++) {
    const start = block * blockRows
    const rows = min(blockRows, M - start)
    const source = x + <usize>start * stride
    const mean = partials + <usize>block * 2 * stride
    for (let c: usize = 0; c < stride; c += STRIP) {
      const width = min(STRIP, stride - c)
      stripMean(source + c, stride, rows, mean + c, width)
      stripDeviations(source + c, stride, rows, mean + c, mean + stride + c, width)
    }
  }
}

// Means are taken of x - (first row): a mean far from zero costs no digits.
function stripMean(x: usize, stride: usize, rows: i32, mean: usize, width: usize): void {
  memory.fill(mean, 0, width)
  let row = x
  let left = rows
  for (; left >= 8; left -= 8) {
    sumEight(x, row, stride, mean, width)
    row += stride << 3
  }
  for (; left > 0; left--) {
    sumOne(x, row, mean, width)
    row += stride
  }
  const count = f32x4.splat(<f32>rows)
  for (let c: usize = 0; c < width; c += 16) {
    v128.store(mean + c, f32x4.add(v128.load(x + c), f32x4.div(v128.load(mean + c), count)))
  }
}

function sumEight(origin: usize, row: usize, stride: usize, sum: usize, width: usize): void {
  const fourth = row + (stride << 2)
  for (let c: usize = 0; c < width; c += 16) {
    const o = v128.load(origin + c)
    let p = row + c
    let q = fourth + c
    const a = f32x4.add(f32x4.sub(v128.load(p), o), f32x4.sub(v128.load(q), o))
    p += stride
    q += stride
    const b = f32x4.add(f32x4.sub(v128.load(p), o), f32x4.sub(v128.load(q), o))
    p += stride
    q += stride
    const d = f32x4.add(f32x4.sub(v128.load(p), o), f32x4.sub(v128.load(q), o))
    p += stride
    q += stride
    const e = f32x4.add(f32x4.sub(v128.load(p), o), f32x4.sub(v128.load(q), o))
    v128.store(sum + c, f32x4.add(v128.load(sum + c), f32x4.add(f32x4.add(a, b), f32x4.add(d, e))))
  }
}

function sumOne(origin: usize, row: usize, sum: usize, width: usize): void {
  for (let c: usize = 0; c < width; c += 16) {
    v128.store(sum + c, f32x4.add(v128.load(sum + c), f32x4.sub(v128.load(row + c), v128.load(origin + c))))
  }
}

function stripDeviations(x: usize, stride: usize, rows: i32, mean: usize, sum: usize, width: usize): void {
  memory.fill(sum, 0, width)
  let row = x
  let left = rows
  for (; left >= 8; left -= 8) {
    squareEight(mean, row, stride, sum, width)
    row += stride << 3
  }
  for (; left > 0; left--) {
    squareOne(mean, row, sum, width)
    row += stride
  }
}

// @ts-ignore: decorator
@inline
function squaredDistance(x: usize, mean: v128): v128 {
  const d = f32x4.sub(v128.load(x), mean)
  return f32x4.mul(d, d)
}

function squareEight(mean: usize, row: usize, stride: usize, sum: usize, width: usize): void {
  const fourth = row + (stride << 2)
  for (let c: usize = 0; c < width; c += 16) {
    const o = v128.load(mean + c)
    let p = row + c
    let q = fourth + c
    const a = f32x4.add(squaredDistance(p, o), squaredDistance(q, o))
    p += stride
    q += stride
    const b = f32x4.add(squaredDistance(p, o), squaredDistance(q, o))
    p += stride
    q += stride
    const d = f32x4.add(squaredDistance(p, o), squaredDistance(q, o))
    p += stride
    q += stride
    const e = f32x4.add(squaredDistance(p, o), squaredDistance(q, o))
    v128.store(sum + c, f32x4.add(v128.load(sum + c), f32x4.add(f32x4.add(a, b), f32x4.add(d, e))))
  }
}

function squareOne(mean: usize, row: usize, sum: usize, width: usize): void {
  for (let c: usize = 0; c < width; c += 16) {
    v128.store(sum + c, f32x4.add(v128.load(sum + c), squaredDistance(row + c, v128.load(mean + c))))
  }
}
