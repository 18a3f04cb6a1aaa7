// Winograd's F(4x4, 3x3): 4x4 outputs of a 3x3 convolution by 36 multiplications instead of 144. Both dimensions alike: a line of
// six inputs and a line of three weights are taken as polynomials, evaluated at six points, multiplied there, and interpolated.
// Lavin & Gray 2015, https://arxiv.org/abs/1509.09308.

/**
 * The points are 0, A, -A, B, -B and infinity. They decide the rounding error, as their powers weight the products: the usual 1 and 2
 * give 2.3 times the error of these, which are best among multiples of 1/16 (mean square, 512 channels). Near the square
 * roots of 1/2 and 2, which would be as good, they have powers that f32 holds exactly.
 */
export const A: f64 = 0.6875
export const B: f64 = 1.5

/** Number of points in two dimensions. */
export const POINTS: i32 = 36
