// The four-lane vocabulary. The only place where the two builds differ: in the relaxed build a multiply-add
// is rounded once (fused), in the baseline build twice.

// @ts-ignore: a constant set by `--use RELAXED=…` in asconfig.json
const FUSED: bool = RELAXED == 1

/** a·b + c on four lanes: fused in the relaxed build, two roundings in the baseline build. */
// @ts-ignore: decorator
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}
