// Changes of pictures as plain loops in float64, for comparison: u8[height, width, 3] in and out.
import { philox } from '../../src/random.ts'

export interface Picture {
  readonly bytes: Uint8Array
  readonly width: number
  readonly height: number
}

type Outside = 'edge' | 'reflect' | readonly [number, number, number]

function byte(value: number): number {
  return Math.max(0, Math.min(255, Math.floor(value + 0.5)))
}

function mirrored(at: number, size: number): number {
  let inside = at
  while (size > 1 && (inside < 0 || inside >= size)) inside = inside < 0 ? -inside : 2 * (size - 1) - inside
  return size > 1 ? inside : 0
}

function pixelAt({ bytes, width, height }: Picture, x: number, y: number, channel: number, outside: Outside): number {
  const inside = x >= 0 && y >= 0 && x < width && y < height
  if (!inside && typeof outside !== 'string') return outside[channel] ?? 0
  const clamp = (at: number, size: number) => Math.max(0, Math.min(size - 1, at))
  const column = outside === 'reflect' ? mirrored(x, width) : clamp(x, width)
  const row = outside === 'reflect' ? mirrored(y, height) : clamp(y, height)
  return bytes[(row * width + column) * 3 + channel] ?? 0
}

/** Each pixel from a place between pixels, bilinear. */
export function resampled(
  picture: Picture,
  from: (x: number, y: number) => readonly [number, number],
  outside: Outside,
): Uint8Array {
  const { width, height } = picture
  const result = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [sourceX, sourceY] = from(x, y)
      const [left, top] = [Math.floor(sourceX), Math.floor(sourceY)]
      const [right, below] = [sourceX - left, sourceY - top]
      for (let c = 0; c < 3; c++) {
        const upper =
          (1 - right) * pixelAt(picture, left, top, c, outside) + right * pixelAt(picture, left + 1, top, c, outside)
        const lower =
          (1 - right) * pixelAt(picture, left, top + 1, c, outside) +
          right * pixelAt(picture, left + 1, top + 1, c, outside)
        result[(y * width + x) * 3 + c] = byte((1 - below) * upper + below * lower)
      }
    }
  }
  return result
}

export function eachByte({ bytes }: Picture, change: (value: number) => number): Uint8Array {
  return bytes.map((value) => byte(change(value)))
}

/** Changes pixel by pixel: red, green, blue to the same. */
export function eachPixel(
  { bytes }: Picture,
  change: (rgb: readonly [number, number, number]) => readonly number[],
): Uint8Array {
  const result = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i += 3) {
    const [red = 0, green = 0, blue = 0] = bytes.subarray(i, i + 3)
    result.set(change([red, green, blue]).map(byte), i)
  }
  return result
}

export function lightness([red, green, blue]: readonly [number, number, number]): number {
  return Math.round(0.299 * red + 0.587 * green + 0.114 * blue)
}

export function meanLightness({ bytes }: Picture): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 3) sum += lightness([bytes[i] ?? 0, bytes[i + 1] ?? 0, bytes[i + 2] ?? 0])
  return (sum * 3) / bytes.length
}

/** By hue, saturation and value, as textbooks have it. */
export function turnedHue([red, green, blue]: readonly [number, number, number], turn: number): readonly number[] {
  const value = Math.max(red, green, blue)
  const range = value - Math.min(red, green, blue)
  if (range === 0) return [red, green, blue]
  const saturation = range / value
  let hue: number
  if (value === red) hue = (green - blue) / range
  else if (value === green) hue = 2 + (blue - red) / range
  else hue = 4 + (red - green) / range
  hue = ((((hue / 6 + turn) % 1) + 1) % 1) * 6
  const sector = Math.floor(hue)
  const rest = hue - sector
  const p = value * (1 - saturation)
  const q = value * (1 - saturation * rest)
  const t = value * (1 - saturation * (1 - rest))
  return (
    [
      [value, t, p],
      [q, value, p],
      [p, value, t],
      [p, q, value],
      [t, p, value],
      [value, p, q],
    ][sector % 6] ?? []
  )
}

/** Weights of a Gaussian from -radius to radius, three standard deviations. */
export function gaussian(sigma: number): { radius: number; weights: number[] } {
  const radius = Math.ceil(3 * sigma)
  const bell = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)))
  const sum = bell.reduce((a, b) => a + b, 0)
  return { radius, weights: bell.map((value) => value / sum) }
}

export function blurred(picture: Picture, sigma: number): Uint8Array {
  const { width, height } = picture
  const { radius, weights } = gaussian(sigma)
  const result = new Uint8Array(picture.bytes.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (let i = -radius; i <= radius; i++) {
          for (let j = -radius; j <= radius; j++) {
            const weight = (weights[i + radius] ?? 0) * (weights[j + radius] ?? 0)
            sum += weight * pixelAt(picture, x + j, y + i, c, 'reflect')
          }
        }
        result[(y * width + x) * 3 + c] = byte(sum)
      }
    }
  }
  return result
}

/** As Pillow's ImageFilter.SMOOTH blended with the picture; the outermost pixels stay. */
export function sharpened(picture: Picture, factor: number): Uint8Array {
  const { width, height, bytes } = picture
  const result = Uint8Array.from(bytes)
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (let i = -1; i <= 1; i++)
          for (let j = -1; j <= 1; j++) sum += pixelAt(picture, x + j, y + i, c, 'edge') * (i === 0 && j === 0 ? 5 : 1)
        const smooth = sum / 13
        result[(y * width + x) * 3 + c] = byte(smooth + factor * (pixelAt(picture, x, y, c, 'edge') - smooth))
      }
    }
  }
  return result
}

/** As Pillow's ImageOps.equalize. */
export function equalized({ bytes }: Picture): Uint8Array {
  const result = new Uint8Array(bytes.length)
  for (let c = 0; c < 3; c++) {
    const counts = new Array<number>(256).fill(0)
    for (let i = c; i < bytes.length; i += 3) counts[bytes[i] ?? 0] = (counts[bytes[i] ?? 0] ?? 0) + 1
    const last = counts.findLast((count) => count > 0) ?? 0
    const step = Math.floor((bytes.length / 3 - last) / 255)
    const table: number[] = []
    let sum = Math.floor(step / 2)
    for (const [value, count] of counts.entries()) {
      table.push(step === 0 ? value : Math.min(255, Math.floor(sum / step)))
      sum += count
    }
    for (let i = c; i < bytes.length; i += 3) result[i] = table[bytes[i] ?? 0] ?? 0
  }
  return result
}

/** Smoothed noise by which `elastic` pulls, [height, width], for both directions, at alpha 1. */
export function elasticField(
  width: number,
  height: number,
  sigma: number,
  key: readonly [number, number],
): readonly [number[][], number[][]] {
  const { radius, weights } = gaussian(sigma)
  const stride = Math.ceil((width + 2 * radius) / 4) * 4
  const rows = height + 2 * radius
  const plane = (first: number) => {
    const noise = Array.from({ length: (stride * rows) / 4 }, (_, i) =>
      Array.from(philox([first + i, 0, 0, 0], key), (word) => (word | 0) / 2 ** 31),
    ).flat()
    return Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => {
        let sum = 0
        for (const [i, down] of weights.entries())
          for (const [j, across] of weights.entries())
            sum += down * across * (noise[(y + i) * stride + x + j] ?? Number.NaN)
        return sum
      }),
    )
  }
  return [plane(0), plane((stride * rows) / 4)]
}

/** The normal variates that `noise` adds, before rounding: equally likely quantiles, found by halving intervals. */
export function normalNoise(count: number, key: readonly [number, number]): number[] {
  const known = new Map<number, number>()
  const quantile = (level: number) => {
    const found = known.get(level) ?? upperQuantile((level + 0.5) / 4096)
    known.set(level, found)
    return found
  }
  return Array.from({ length: count }, (_, i) => {
    const word = philox([i >> 3, 0, 0, 0], key)[(i >> 1) & 3] ?? 0
    const half = i & 1 ? word >>> 16 : word & 0xffff
    return half & 2048 ? quantile(half & 2047) : -quantile(half & 2047)
  })
}

function upperQuantile(share: number): number {
  let [low, high] = [0, 8]
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (upperTail(middle) > share) low = middle
    else high = middle
  }
  return low
}

/** By Simpson's rule. */
function upperTail(x: number): number {
  const steps = 200
  const h = (9 - x) / steps
  let sum = 0
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2
    sum += weight * Math.exp(-((x + i * h) ** 2) / 2)
  }
  return (sum * h) / 3 / Math.sqrt(2 * Math.PI)
}
