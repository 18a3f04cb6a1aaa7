// Attention in float64.

interface Heads {
  readonly tokens: number
  readonly channels: number
  readonly heads: number
}

/** @param qkv  [images·tokens, 3·channels] */
export function attended(qkv: Float64Array, what: Heads): Float64Array {
  const { channels } = what
  const output = new Float64Array(qkv.length / 3)
  eachQuery(qkv, what, ({ query, weights, row }) => {
    for (let c = 0; c < what.channels / what.heads; c++) {
      let sum = 0
      for (const [j, weight] of weights.entries()) sum += weight * (qkv[row(j) + 2 * channels + c] ?? Number.NaN)
      output[query.output + c] = sum
    }
  })
  return output
}

/** The gradient of queries, keys and values. */
export function attentionGradient(qkv: Float64Array, dOutput: Float64Array, what: Heads): Float64Array {
  const { channels, heads } = what
  const size = channels / heads
  const gradient = new Float64Array(qkv.length)
  const add = (at: number, value: number) => {
    gradient[at] = (gradient[at] ?? 0) + value
  }
  eachQuery(qkv, what, ({ query, weights, row }) => {
    const slopes = weights.map((_, j) => {
      let sum = 0
      for (let c = 0; c < size; c++) sum += (dOutput[query.output + c] ?? 0) * (qkv[row(j) + 2 * channels + c] ?? 0)
      return sum
    })
    const mean = slopes.reduce((sum, slope, j) => sum + slope * (weights[j] ?? 0), 0)
    for (const [j, weight] of weights.entries()) {
      const slope = (weight * ((slopes[j] ?? 0) - mean)) / Math.sqrt(size)
      for (let c = 0; c < size; c++) {
        add(query.input + c, slope * (qkv[row(j) + channels + c] ?? 0))
        add(row(j) + channels + c, slope * (qkv[query.input + c] ?? 0))
        add(row(j) + 2 * channels + c, weight * (dOutput[query.output + c] ?? 0))
      }
    }
  })
  return gradient
}

interface Query {
  /** Where it begins, and where what it gives does. */
  readonly query: { readonly input: number; readonly output: number }
  /** How much it attends to each token. */
  readonly weights: readonly number[]
  /** Where the query of a token begins; its key and value lie as far behind it as there are channels. */
  row(token: number): number
}

function eachQuery(qkv: Float64Array, { tokens, channels, heads }: Heads, visit: (query: Query) => void): void {
  const size = channels / heads
  const images = qkv.length / (3 * channels * tokens)
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      const row = (token: number) => (image * tokens + token) * 3 * channels + head * size
      for (let i = 0; i < tokens; i++) {
        const scores = Array.from({ length: tokens }, (_, j) => {
          let sum = 0
          for (let c = 0; c < size; c++) sum += (qkv[row(i) + c] ?? 0) * (qkv[row(j) + channels + c] ?? 0)
          return sum / Math.sqrt(size)
        })
        const top = Math.max(...scores)
        const shares = scores.map((score) => Math.exp(score - top))
        const total = shares.reduce((sum, share) => sum + share, 0)
        const output = (image * tokens + i) * channels + head * size
        visit({ query: { input: row(i), output }, weights: shares.map((share) => share / total), row })
      }
    }
  }
}
