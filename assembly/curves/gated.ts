// x times a gate between 0 and 1 that x itself opens. All slopes see x.

import { exponential } from '../approximations/exponential'
import { logistic } from '../approximations/logistic'
import { exponentialOfHalfSquare, normalShare } from '../approximations/normal-distribution'
import { multiplyAdd } from '../lanes'

/** x/(1 + e^-x). @see Elfwing et al. 2018, https://arxiv.org/abs/1702.03118 */
@unmanaged
export class Silu {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return f32x4.mul(x, logistic(x))
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    const gate = logistic(x)
    const one = f32x4.splat(1)
    return f32x4.mul(gate, multiplyAdd(x, f32x4.sub(one, gate), one))
  }
}

/** x times the share of the normal distribution below x. @see Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415 */
@unmanaged
export class Gelu {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    return f32x4.mul(x, normalShare(x, exponentialOfHalfSquare(x)))
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    const power = exponentialOfHalfSquare(x)
    // The distribution's density is e^(-x²/2)/sqrt(2·pi).
    const density = f32x4.mul(power, f32x4.splat(0.3989422804014327))
    return multiplyAdd(x, density, normalShare(x, power))
  }
}

// GELU by the tangent: x·(1 + tanh u)/2 = x/(1 + e^-2u) with 2u = x·(LINEAR + CUBIC·x²), LINEAR = 2·sqrt(2/pi), CUBIC = 0.044715·LINEAR.
const LINEAR: f32 = 1.5957691216057308
const CUBIC: f32 = 0.07135481282515224

/** GELU with its gate approximated by a hyperbolic tangent, as some networks were trained. */
@unmanaged
export class GeluTanh {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const bend = multiplyAdd(f32x4.mul(x, x), f32x4.splat(CUBIC), f32x4.splat(LINEAR))
    return f32x4.mul(x, logistic(f32x4.mul(x, bend)))
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    const square = f32x4.mul(x, x)
    const bend = multiplyAdd(square, f32x4.splat(CUBIC), f32x4.splat(LINEAR))
    const steepness = multiplyAdd(square, f32x4.splat(3 * CUBIC), f32x4.splat(LINEAR))
    const gate = logistic(f32x4.mul(x, bend))
    const one = f32x4.splat(1)
    const rise = f32x4.mul(f32x4.mul(x, steepness), f32x4.sub(one, gate))
    return f32x4.mul(gate, f32x4.add(one, rise))
  }
}

/** e^x, at most e^20: from there on the gate of Mish is 1, and its square does not overflow. */
// @ts-ignore: decorator
@inline
function boundedPower(x: v128): v128 {
  return exponential(f32x4.pmin(x, f32x4.splat(20)))
}

/**
 * x·tanh(log(1 + e^x)). With e = e^x the gate is w/(w + 2), w = e·(e + 2): no logarithm, and nothing cancels.
 * @see Misra 2019, https://arxiv.org/abs/1908.08681
 */
@unmanaged
export class Mish {
  @inline
  value(x: v128, a: v128, b: v128): v128 {
    const e = boundedPower(x)
    const two = f32x4.splat(2)
    const w = f32x4.mul(e, f32x4.add(e, two))
    return f32x4.mul(x, f32x4.div(w, f32x4.add(w, two)))
  }

  @inline
  slope(x: v128, a: v128, b: v128): v128 {
    // gate + x·gate', and gate' = 4e·(e + 1)/(w + 2)².
    const e = boundedPower(x)
    const two = f32x4.splat(2)
    const w = f32x4.mul(e, f32x4.add(e, two))
    const below = f32x4.add(w, two)
    const rise = f32x4.div(f32x4.mul(f32x4.splat(4), f32x4.mul(e, f32x4.add(e, f32x4.splat(1)))), f32x4.mul(below, below))
    return multiplyAdd(x, rise, f32x4.div(w, below))
  }
}
