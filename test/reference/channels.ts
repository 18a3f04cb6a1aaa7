/** Channels of rows of C put side by side. */
export function concatenated(parts: readonly { readonly values: Float32Array; readonly C: number }[]): Float32Array {
  const [first] = parts
  const rows = (first?.values.length ?? 0) / (first?.C ?? 1)
  return Float32Array.from(
    Array.from({ length: rows }, (_, row) => row).flatMap((row) =>
      parts.flatMap(({ values, C }) => [...values.subarray(row * C, (row + 1) * C)]),
    ),
  )
}

/** ShuffleNet's shuffle of rows of C channels. */
export function shuffled(x: Float32Array, C: number, groups: number): Float32Array {
  return x.map((_, at) => {
    const channel = at % C
    return x[at - channel + (channel % groups) * (C / groups) + Math.floor(channel / groups)] ?? Number.NaN
  })
}

/** Each picture's rows of C times factors of its own, [images, C]. */
export function scaledImages(x: Float32Array, factors: Float32Array, C: number, pixels: number): Float32Array {
  return x.map((value, at) => value * (factors[Math.floor(at / (pixels * C)) * C + (at % C)] ?? Number.NaN))
}

/** Sums of products over the pixels of each picture, [images, C]. */
export function productSums(x: Float32Array, dy: Float32Array, C: number, pixels: number): Float64Array {
  const sums = new Float64Array(x.length / pixels)
  for (const [at, value] of x.entries()) {
    const place = Math.floor(at / (pixels * C)) * C + (at % C)
    sums[place] = (sums[place] ?? 0) + value * (dy[at] ?? Number.NaN)
  }
  return sums
}
