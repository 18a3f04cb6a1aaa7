/**
 * Statistics of the batch from those of its blocks, in f64 and in block order:
 * mean = sum of n·mean / M, squared deviations = sum of (their own + n·(mean - total mean)²) (Chan, Golub & LeVeque 1983).
 * scaleShift = scale[S], shift[S], with scale = gamma/sqrt(variance/M + epsilon) and shift = beta - mean·scale; saved, for backward:
 * for each group of 4 channels mean[4], 1/sqrt(variance/M + epsilon)[4], scale[4], shift[4].
 * With update: running = (1 - momentum)·running + momentum·batch, the variance with M - 1 in place of M.
 * gamma and beta may be null (1 and 0). Units are groups of 4 channels.
 */
export function batchNormFinish(
  partials: usize,
  M: i32,
  blockRows: i32,
  S: i32,
  gamma: usize,
  beta: usize,
  runningMean: usize,
  runningVariance: usize,
  momentum: f64,
  epsilon: f64,
  update: i32,
  scaleShift: usize,
  saved: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const end = (<usize>to) << 4
  for (let c = (<usize>from) << 4; c < end; c += 4) {
    const mean = totalMean(partials + c, M, blockRows, stride)
    const squares = totalSquares(partials + c, M, blockRows, stride, mean)
    if (update) {
      const unbiased = squares / <f64>max(M - 1, 1)
      store<f32>(runningMean + c, <f32>((1 - momentum) * <f64>load<f32>(runningMean + c) + momentum * mean))
      store<f32>(runningVariance + c, <f32>((1 - momentum) * <f64>load<f32>(runningVariance + c) + momentum * unbiased))
    }
    writeChannel(mean, squares / <f64>M, epsilon, gamma, beta, c, stride, scaleShift, saved)
  }
}

/** The same from running statistics. */
export function batchNormFixed(
  gamma: usize,
  beta: usize,
  runningMean: usize,
  runningVariance: usize,
  S: i32,
  epsilon: f64,
  scaleShift: usize,
  saved: usize,
  from: i32,
  to: i32,
): void {
  const stride = (<usize>S) << 2
  const end = (<usize>to) << 4
  for (let c = (<usize>from) << 4; c < end; c += 4) {
    const mean = <f64>load<f32>(runningMean + c)
    const variance = <f64>load<f32>(runningVariance + c)
    writeChannel(mean, variance, epsilon, gamma, beta, c, stride, scaleShift, saved)
  }
}

function totalMean(partials: usize, M: i32, blockRows: i32, stride: usize): f64 {
  let sum: f64 = 0
  for (let start = 0; start < M; start += blockRows) {
    sum += <f64>min(blockRows, M - start) * <f64>load<f32>(partials)
    partials += stride << 1
  }
  return sum / <f64>M
}

function totalSquares(partials: usize, M: i32, blockRows: i32, stride: usize, mean: f64): f64 {
  let sum: f64 = 0
  for (let start = 0; start < M; start += blockRows) {
    const distance = <f64>load<f32>(partials) - mean
    sum += <f64>load<f32>(partials + stride) + <f64>min(blockRows, M - start) * (distance * distance)
    partials += stride << 1
  }
  return sum
}

function writeChannel(
  mean: f64,
  variance: f64,
  epsilon: f64,
  gamma: usize,
  beta: usize,
  c: usize,
  stride: usize,
  scaleShift: usize,
  saved: usize,
): void {
  const inverse = 1 / Math.sqrt(variance + epsilon)
  const scale = <f32>((gamma ? <f64>load<f32>(gamma + c) : 1) * inverse)
  // The shift belongs to the scale as rounded, so that their errors cancel at the mean.
  const shift = (beta ? <f64>load<f32>(beta + c) : 0) - mean * <f64>scale
  store<f32>(scaleShift + c, scale)
  store<f32>(scaleShift + stride + c, <f32>shift)
  const table = saved + (c & ~15) * 4 + (c & 15)
  store<f32>(table, <f32>mean)
  store<f32>(table, <f32>inverse, 16)
  store<f32>(table, scale, 32)
  store<f32>(table, <f32>shift, 48)
}
