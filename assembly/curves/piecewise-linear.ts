import { clamp } from '../activations'

/** x, or a·x below 0. The slope sees y, so a may not be negative. */
@unmanaged
export class LeakyRelu {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return v128.bitselect(x, f32x4.mul(a, x), f32x4.gt(x, f32x4.splat(0)))
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    return v128.bitselect(f32x4.splat(1), a, f32x4.gt(y, f32x4.splat(0)))
  }
}

/** (x + 3)/6 between 0 and 1. The slope sees y. */
@unmanaged
export class HardSigmoid {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const six = f32x4.splat(6)
    return f32x4.div(clamp(f32x4.add(x, f32x4.splat(3)), f32x4.splat(0), six), six)
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    const inside = v128.and(f32x4.gt(y, f32x4.splat(0)), f32x4.lt(y, f32x4.splat(1)))
    return v128.and(f32x4.splat(1.0 / 6.0), inside)
  }
}

/** x between -1 and 1. The slope sees y. */
@unmanaged
export class HardTanh {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return clamp(x, f32x4.splat(-1), f32x4.splat(1))
  }

  @inline
  slope(y: v128, a: v128, b: v128): v128 {
    return v128.and(f32x4.splat(1), f32x4.lt(f32x4.abs(y), f32x4.splat(1)))
  }
}

/** x·(x + 3)/6, 0 below -3 and x above 3. The slope sees x. */
@unmanaged
export class HardSwish {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const six = f32x4.splat(6)
    return f32x4.div(f32x4.mul(x, clamp(f32x4.add(x, f32x4.splat(3)), f32x4.splat(0), six)), six)
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    const three = f32x4.splat(3)
    const bend = f32x4.add(f32x4.div(x, three), f32x4.splat(0.5))
    const above = v128.bitselect(f32x4.splat(1), bend, f32x4.gt(x, three))
    return v128.andnot(above, f32x4.lt(x, f32x4.splat(-3)))
  }
}
