// The four-lane vocabulary, and what the builds differ in. Bits depend on RELAXED alone: in the relaxed builds a multiply-add is rounded
// once (fused), in the baseline build twice. The other constants say what is fast where (README.md, "Builds").

// @ts-ignore: a constant set by `--use RELAXED=…` in asconfig.json
const FUSED: bool = RELAXED == 1

/** Rows of a tile of a product: 4 or 6. */
// @ts-ignore: a constant set by `--use ROWS=…`
export const TILE_ROWS: i32 = ROWS

/** Whether kernels work on two vectors side by side where they can, for V8 to fuse them to 256 bits. */
// @ts-ignore: a constant set by `--use PAIRS=…`
export const IN_PAIRS: bool = PAIRS == 1

/** 64 zero bytes: what stands for a bias that is null, so that no loop has to ask. */
export const ZEROS: usize = memory.data(64, 16)

/** a·b + c on four lanes: fused in the relaxed build, two roundings in the baseline build. */
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}

/** The bits of 6 and of infinity. */
const SIX: i32 = 0x40c00000
const INFINITY: i32 = 0x7f800000

/**
 * The ceiling of an activation: 6 for relu6 (2), else infinity. Computed from its bits, because V8 makes a branch of a choice between
 * two vectors, and across a branch it fuses nothing to 256 bits.
 */
export function activationCeiling(activation: i32): v128 {
  return i32x4.splat(INFINITY - (activation >> 1) * (INFINITY - SIX))
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
