// What training leaves out at random. Which values these are is computed from keys, in forward and again in backward, and never stored:
// the same keys give the same choice on any thread, for any cut of the batch.

/** MurmurHash3's last mixing of 32 bits, by Austin Appleby: each bit of the result depends on all of x. */
// @ts-ignore: decorator
@inline
function mixed(x: i32): i32 {
  x ^= x >>> 16
  x *= 0x85ebca6b
  x ^= x >>> 13
  x *= 0xc2b2ae35
  return x ^ (x >>> 16)
}

/** The same on four lanes. */
// @ts-ignore: decorator
@inline
function mixedLanes(x: v128): v128 {
  x = v128.xor(x, i32x4.shr_u(x, 16))
  x = i32x4.mul(x, i32x4.splat(0x85ebca6b))
  x = v128.xor(x, i32x4.shr_u(x, 13))
  x = i32x4.mul(x, i32x4.splat(0xc2b2ae35))
  return v128.xor(x, i32x4.shr_u(x, 16))
}

/**
 * y = x·scale, or 0 where a value is left out: where mixed(mixed(index + key0) + (key1 xor salt)), without sign, is below the threshold.
 * x, y: f32[pictures, 4·vectors]; keys: i32[pictures, 2]. The index counts the values of a picture; with `together` it is 0 for all of
 * them, so that a picture is kept or left out as a whole. Written, or added. Units are vectors of 4; y may be x.
 */
export function dropout(
  x: usize,
  y: usize,
  keys: usize,
  salt: i32,
  threshold: i32,
  scale: f32,
  vectors: i32,
  together: i32,
  accumulate: i32,
  from: i32,
  to: i32,
): void {
  const factor = f32x4.splat(scale)
  const limit = i32x4.splat(threshold)
  for (let unit = from; unit < to; ) {
    const picture = unit / vectors
    const begin = picture * vectors
    const end = min(to, begin + vectors)
    const key = keys + ((<usize>picture) << 3)
    const first = load<i32>(key)
    const second = load<i32>(key, 4) ^ salt
    const seconds = i32x4.splat(second)
    let index = i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat(first + ((unit - begin) << 2)))
    let kept = i32x4.splat(<u32>mixed(mixed(first) + second) >= <u32>threshold ? -1 : 0)
    for (; unit < end; unit++) {
      const at = (<usize>unit) << 4
      if (!together) kept = i32x4.ge_u(mixedLanes(i32x4.add(mixedLanes(index), seconds)), limit)
      let value = v128.and(f32x4.mul(v128.load(x + at), factor), kept)
      if (accumulate) value = f32x4.add(v128.load(y + at), value)
      v128.store(y + at, value)
      index = i32x4.add(index, i32x4.splat(4))
    }
  }
}
