interface Heads {
  /** Tokens of a picture. */
  readonly T: number
  readonly D: number
  readonly heads: number
}

/** Attention of [images, T, 3·D] in float64, with the gradient of its input. */
export function attention(
  qkv: Float32Array,
  dy: Float32Array,
  { T, D, heads }: Heads,
): { y: Float64Array; dqkv: Float64Array } {
  const d = D / heads
  const images = qkv.length / (3 * D * T)
  const y = new Float64Array(images * T * D)
  const dqkv = new Float64Array(qkv.length)
  const add = (to: Float64Array, at: number, value: number) => {
    to[at] = (to[at] ?? 0) + value
  }
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      const at = (token: number, part: number, c: number) => ((image * T + token) * 3 + part) * D + head * d + c
      const out = (token: number, c: number) => (image * T + token) * D + head * d + c
      for (let i = 0; i < T; i++) {
        const shares = Array.from({ length: T }, (_, j) => {
          let sum = 0
          for (let c = 0; c < d; c++) sum += (qkv[at(i, 0, c)] ?? 0) * (qkv[at(j, 1, c)] ?? 0)
          return Math.exp(sum / Math.sqrt(d))
        })
        const total = shares.reduce((sum, share) => sum + share, 0)
        const weights = shares.map((share) => share / total)
        const slopes = weights.map((weight, j) => {
          let slope = 0
          for (let c = 0; c < d; c++) {
            add(y, out(i, c), weight * (qkv[at(j, 2, c)] ?? 0))
            add(dqkv, at(j, 2, c), weight * (dy[out(i, c)] ?? 0))
            slope += (dy[out(i, c)] ?? 0) * (qkv[at(j, 2, c)] ?? 0)
          }
          return slope
        })
        const mean = slopes.reduce((sum, slope, j) => sum + slope * (weights[j] ?? 0), 0)
        for (const [j, weight] of weights.entries()) {
          const slope = (weight * ((slopes[j] ?? 0) - mean)) / Math.sqrt(d)
          for (let c = 0; c < d; c++) {
            add(dqkv, at(i, 0, c), slope * (qkv[at(j, 1, c)] ?? 0))
            add(dqkv, at(j, 1, c), slope * (qkv[at(i, 0, c)] ?? 0))
          }
        }
      }
    }
  }
  return { y, dqkv }
}
