import { exponentialMinusOne } from '../approximations/exponential'

/** b·x, or a·b·(e^x - 1) below 0: ELU where b is 1, SELU with its own a and b. The slope sees y. */
@unmanaged
export class ExponentialUnit {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const zero = f32x4.splat(0)
    const below = f32x4.mul(a, exponentialMinusOne(f32x4.pmin(x, zero)))
    return f32x4.mul(b, v128.bitselect(x, below, f32x4.gt(x, zero)))
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    return v128.bitselect(b, f32x4.add(y, f32x4.mul(a, b)), f32x4.gt(y, f32x4.splat(0)))
  }
}
