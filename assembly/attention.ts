// Attention of tokens to each other in several heads. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762

import { laneSum, multiplyAdd } from './lanes'
import { rowExponentials, rowMaximum } from './losses/softmax'

/** Product of two rows of `bytes` bytes. */
// @ts-ignore: decorator
@inline
function product(a: usize, b: usize, bytes: usize): f32 {
  let sum = f32x4.splat(0)
  for (let i: usize = 0; i < bytes; i += 16) sum = multiplyAdd(v128.load(a + i), v128.load(b + i), sum)
  return laneSum(sum)
}

/** How much a token attends to each of T: row = softmax of q·k/sqrt(channels), zeros behind. */
function attend(q: usize, keys: usize, stride: usize, T: i32, bytes: usize, factor: f32, row: usize): void {
  for (let j = 0; j < T; j++) {
    store<f32>(row + (<usize>j << 2), factor * product(q, keys + <usize>j * stride, bytes))
  }
  const sum = f32x4.splat(rowExponentials(row, row, T, rowMaximum(row, T)))
  const end = (<usize>((T + 3) & ~3)) << 2
  for (let i: usize = 0; i < end; i += 16) v128.store(row + i, f32x4.div(v128.load(row + i), sum))
}

/** y += sum over j of row[j]·values[j], of `bytes` bytes. */
function mix(row: usize, values: usize, stride: usize, T: i32, bytes: usize, y: usize): void {
  for (let c: usize = 0; c < bytes; c += 16) {
    let sum = v128.load(y + c)
    let value = values + c
    for (let j = 0; j < T; j++) {
      sum = multiplyAdd(v128.load32_splat(row + (<usize>j << 2)), v128.load(value), sum)
      value += stride
    }
    v128.store(y + c, sum)
  }
}

/** target += factor·source, of `bytes` bytes. */
// @ts-ignore: decorator
@inline
function addScaled(target: usize, source: usize, factor: f32, bytes: usize): void {
  const lanes = f32x4.splat(factor)
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(target + i, multiplyAdd(lanes, v128.load(source + i), v128.load(target + i)))
  }
}

/**
 * y = softmax(q·kᵀ/sqrt(channels))·v in each head.  qkv: f32[N, T, 3·D], queries, keys and values one after the other, each head by head;
 * y: f32[N, T, D]; D / heads is a multiple of four. Units are heads of pictures (image·heads + head).
 */
export function attentionForward(
  qkv: usize,
  y: usize,
  T: i32,
  D: i32,
  heads: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const width = <usize>D << 2
  const stride = width * 3
  const bytes = <usize>(D / heads) << 2
  const factor = <f32>(1 / sqrt(<f64>(D / heads)))
  for (let unit = from; unit < to; unit++) {
    const token = <usize>(unit / heads) * <usize>T
    const head = <usize>(unit % heads) * bytes
    const queries = qkv + token * stride + head
    const target = y + token * width + head
    for (let i = 0; i < T; i++) {
      attend(queries + <usize>i * stride, queries + width, stride, T, bytes, factor, scratch)
      const place = target + <usize>i * width
      memory.fill(place, 0, bytes)
      mix(scratch, queries + 2 * width, stride, T, bytes, place)
    }
  }
}

/** dqkv, written, or added; what the tokens attend to is computed again. Units are heads of pictures (image·heads + head). */
export function attentionBackward(
  qkv: usize,
  dy: usize,
  dqkv: usize,
  T: i32,
  D: i32,
  heads: i32,
  accumulate: i32,
  scratch: usize,
  from: i32,
  to: i32,
): void {
  const width = <usize>D << 2
  const stride = width * 3
  const bytes = <usize>(D / heads) << 2
  const factor = <f32>(1 / sqrt(<f64>(D / heads)))
  const slopes = scratch + ((<usize>((T + 3) & ~3)) << 2)
  for (let unit = from; unit < to; unit++) {
    const token = <usize>(unit / heads) * <usize>T
    const head = <usize>(unit % heads) * bytes
    const queries = qkv + token * stride + head
    const gradients = dqkv + token * stride + head
    const outputs = dy + token * width + head
    if (!accumulate) {
      for (let i = 0; i < T; i++) {
        const place = gradients + <usize>i * stride
        memory.fill(place, 0, bytes)
        memory.fill(place + width, 0, bytes)
        memory.fill(place + 2 * width, 0, bytes)
      }
    }
    for (let i = 0; i < T; i++) {
      const query = queries + <usize>i * stride
      const output = outputs + <usize>i * width
      attend(query, queries + width, stride, T, bytes, factor, scratch)
      let total: f32 = 0
      for (let j = 0; j < T; j++) {
        const slope = product(output, queries + 2 * width + <usize>j * stride, bytes)
        store<f32>(slopes + (<usize>j << 2), slope)
        total += slope * load<f32>(scratch + (<usize>j << 2))
      }
      for (let j = 0; j < T; j++) {
        const place = <usize>j << 2
        const share = load<f32>(scratch + place)
        const slope = factor * share * (load<f32>(slopes + place) - total)
        store<f32>(slopes + place, slope)
        const gradient = gradients + <usize>j * stride
        addScaled(gradient + width, query, slope, bytes)
        addScaled(gradient + 2 * width, output, share, bytes)
      }
      mix(slopes, queries + width, stride, T, bytes, gradients + <usize>i * stride)
    }
  }
}
