import { exponential } from '../approximations/exponential'
import { logarithmOnePlus } from '../approximations/logarithm-one-plus'
import { logistic } from '../approximations/logistic'

/** log(1 + e^(a·x))/a. The slope sees x. */
@unmanaged
export class Softplus {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const scaled = f32x4.mul(a, x)
    const power = exponential(f32x4.neg(f32x4.abs(scaled)))
    return f32x4.div(f32x4.add(f32x4.pmax(scaled, f32x4.splat(0)), logarithmOnePlus(power)), a)
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    return logistic(f32x4.mul(a, x))
  }
}
