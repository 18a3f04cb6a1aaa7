/** RGB bytes of a picture. */
export interface Picture {
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
}

const COLUMNS = 8
const TILE = 48
const GAP = 4

/**
 * The filters of a first convolution as coloured tiles, on white. Grey is zero; one scale for all, so that weak filters look weak.
 * @param weights  [filters, 3, height, width]
 */
export function filterSheet(weights: Float32Array, filters: number, height: number, width: number): Picture {
  const columns = Math.min(COLUMNS, filters)
  const rows = Math.ceil(filters / columns)
  const size = { width: GAP + columns * (TILE + GAP), height: GAP + rows * (TILE + GAP) }
  const bytes = new Uint8Array(size.width * size.height * 3).fill(255)
  const largest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
  for (let filter = 0; filter < filters; filter++) {
    const left = GAP + (filter % columns) * (TILE + GAP)
    const top = GAP + Math.floor(filter / columns) * (TILE + GAP)
    for (let y = 0; y < TILE; y++) {
      const row = Math.floor((y * height) / TILE)
      for (let x = 0; x < TILE; x++) {
        const column = Math.floor((x * width) / TILE)
        for (let channel = 0; channel < 3; channel++) {
          const value = weights[((filter * 3 + channel) * height + row) * width + column] ?? 0
          bytes[((top + y) * size.width + left + x) * 3 + channel] = Math.round(127.5 + (127.5 * value) / largest)
        }
      }
    }
  }
  return { bytes, ...size }
}
