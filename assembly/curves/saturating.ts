import { hyperbolicTangent } from '../approximations/hyperbolic-tangent'
import { logistic } from '../approximations/logistic'

/** 1/(1 + e^-x). The slope sees y. */
@unmanaged
export class Sigmoid {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return logistic(x)
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    return f32x4.mul(y, f32x4.sub(f32x4.splat(1), y))
  }
}

/** tanh x. The slope sees y. */
@unmanaged
export class Tanh {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return hyperbolicTangent(x)
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    // (1 - y)(1 + y) keeps the digits that 1 - y² loses near ±1.
    const one = f32x4.splat(1)
    return f32x4.mul(f32x4.sub(one, y), f32x4.add(one, y))
  }
}

/** x/(1 + |x|). The slope sees y. */
@unmanaged
export class Softsign {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return f32x4.div(x, f32x4.add(f32x4.splat(1), f32x4.abs(x)))
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    const rest = f32x4.sub(f32x4.splat(1), f32x4.abs(y))
    return f32x4.mul(rest, rest)
  }
}
