import { STRIP_BYTES, withPixelWorker } from './pixel-workers.ts'
import type { Box, Pixels } from './pixels.ts'
import { type Interpolation, interpolations } from './preprocessing.ts'

/** What `resample` makes of a picture. */
export interface ResampleTarget {
  /** Size of the whole picture after resizing. */
  readonly width: number
  readonly height: number
  /** The part of it that is wanted. */
  readonly window: Box
  readonly interpolation: Interpolation
  /** The window mirrored left to right. */
  readonly mirrored?: boolean
}

/**
 * A picture as resized with the arithmetic of Pillow: rows first, then columns, each rounded to 8 bits, weights of 22 bits, wider
 * filters when shrinking. Only the window is computed, in a worker; a picture of the right size comes out as it is.
 * @param picture  rows of RGB, or of CMYK where a larger byte is more ink
 * @returns        u8[window.height, window.width, 3]
 * @throws RegraftError 'memory'
 * @see Pillow, src/libImaging/Resample.c
 */
export async function resample(
  { bytes, width, height, channels }: Pixels,
  target: ResampleTarget,
): Promise<Uint8Array> {
  const rowBytes = width * channels
  const rowsAtOnce = Math.floor(STRIP_BYTES / rowBytes)
  if (rowsAtOnce < 1) throw new RangeError(`A row of ${rowBytes} bytes is too long.`)
  const begin = {
    picture: { width, height, channels },
    target: { width: target.width, height: target.height },
    window: target.window,
    filter: interpolations.indexOf(target.interpolation),
    mirrored: target.mirrored ?? false,
  }
  return await withPixelWorker(async (worker) => {
    for (let from = 0; ; ) {
      const count = Math.min(rowsAtOnce, height - from)
      worker.strip.set(bytes.subarray(from * rowBytes, (from + count) * rowBytes))
      const message = { rows: { from, count }, ...(from === 0 ? { begin } : {}) }
      const answer = await worker.ask(message)
      if (answer.bytes !== undefined) return answer.bytes
      from = answer.next
    }
  })
}
