// The four-lane vocabulary. The only place where the two builds differ: in the relaxed build a multiply-add
// is rounded once (fused), in the baseline build twice.

// @ts-ignore: a constant set by `--use RELAXED=…` in asconfig.json
const FUSED: bool = RELAXED == 1

/** a·b + c on four lanes: fused in the relaxed build, two roundings in the baseline build. */
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}

/** The ceiling of an activation that is not 0: 6 for relu6 (2), infinity for relu (1). */
export function activationCeiling(activation: i32): v128 {
  return f32x4.splat(activation == 2 ? 6 : Infinity)
}

/** x between 0 and the ceiling; NaN stays NaN, as in PyTorch. */
export function activate(x: v128, ceiling: v128): v128 {
  // The order of the operands decides what becomes of NaN: pmax(a, b) is a < b ? b : a.
  return f32x4.pmin(f32x4.pmax(x, f32x4.splat(0)), ceiling)
}

/** All bits of lanes c … c+3 that lie before C. */
// @ts-ignore: decorator
@inline
export function lanesBefore(c: i32, C: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(C - c))
}

/** Sum of four lanes. */
// @ts-ignore: decorator
@inline
export function laneSum(lanes: v128): f32 {
  const a = f32x4.extract_lane(lanes, 0) + f32x4.extract_lane(lanes, 1)
  return a + (f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3))
}
