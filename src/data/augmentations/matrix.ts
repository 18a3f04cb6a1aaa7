import { cos, sin } from '../../exact-math.ts'

/** x = a·x' + b·y' + c and y = d·x' + e·y' + f, as [a, b, c, d, e, f]. */
export type Matrix = readonly [number, number, number, number, number, number]

/** The second, then the first. */
export function product([a, b, c, d, e, f]: Matrix, [A, B, C, D, E, F]: Matrix): Matrix {
  return [a * A + b * D, a * B + b * E, a * C + b * F + c, d * A + e * D, d * B + e * E, d * C + e * F + f]
}

// Each as the way back: where a pixel of the result comes from.

/** Counter-clockwise, as one looks at it. */
export function rotation(degrees: number): Matrix {
  const [c, s] = cosineAndSine(degrees)
  return [c, -s, 0, s, c, 0]
}

export function translation(x: number, y: number): Matrix {
  return [1, 0, -x, 0, 1, -y]
}

/** Above 1 things become larger. */
export function scaling(factor: number): Matrix {
  return [1 / factor, 0, 0, 0, 1 / factor, 0]
}

/** Rows move by x times their distance from the middle, then columns by y times theirs. */
export function shearing(x: number, y: number): Matrix {
  return product([1, -x, 0, 0, 1, 0], [1, 0, 0, -y, 1, 0])
}

/** Below 90 degrees. */
export function tangent(degrees: number): number {
  const [c, s] = cosineAndSine(degrees)
  return s / c
}

/** Exact for quarters of a turn. */
function cosineAndSine(degrees: number): readonly [number, number] {
  const quarters = Math.round(degrees / 90)
  const rest = ((degrees - 90 * quarters) * Math.PI) / 180
  const [c, s] = [cos(rest), sin(rest)]
  return (
    (
      [
        [c, s],
        [-s, c],
        [-c, -s],
        [s, -c],
      ] as const
    )[((quarters % 4) + 4) % 4] ?? [c, s]
  )
}
