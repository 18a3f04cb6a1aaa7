// Tokens of vision transformers, in float64. Values are [images·tokens, channels].

/** Each picture's rows behind the same token. */
export function behindToken(x: Float64Array, token: Float64Array, images: number): Float64Array {
  const each = x.length / images
  const output = new Float64Array(x.length + images * token.length)
  for (let image = 0; image < images; image++) {
    const start = image * (each + token.length)
    output.set(token, start)
    output.set(x.subarray(image * each, (image + 1) * each), start + token.length)
  }
  return output
}

export function withoutToken(values: Float64Array, images: number, channels: number): Float64Array {
  const each = values.length / images
  const output = new Float64Array(values.length - images * channels)
  for (let image = 0; image < images; image++) {
    output.set(values.subarray(image * each + channels, (image + 1) * each), image * (each - channels))
  }
  return output
}

export function firstTokens(values: Float64Array, images: number, channels: number): Float64Array {
  const each = values.length / images
  const output = new Float64Array(images * channels)
  for (let image = 0; image < images; image++) {
    output.set(values.subarray(image * each, image * each + channels), image * channels)
  }
  return output
}

/** Sum of all rows of a width. */
export function sumOver(values: Float64Array, width: number): Float64Array {
  const sum = new Float64Array(width)
  for (const [at, value] of values.entries()) sum[at % width] = (sum[at % width] ?? 0) + value
  return sum
}
