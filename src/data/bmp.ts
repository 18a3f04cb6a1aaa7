// Windows bitmaps, which libvips does not read: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
import { breathing } from '../breath.ts'
import type { Outcome } from './bad-file.ts'
import type { Pixels } from './pixels.ts'

/**
 * The pixels of a BMP file: 1, 4 or 8 bits with a palette, 16, 24 and 32 bits, with or without masks. RGB, or RGBA where the
 * file names an alpha mask. The run-length and embedded kinds are refused by name.
 * @param maxPixels  larger pictures are refused
 */
export async function readBmp(file: Uint8Array, maxPixels: number): Promise<Outcome<Pixels>> {
  const header = readHeader(file, maxPixels)
  if (header.value === undefined) return header
  const { width, height, bits, topDown, dataOffset } = header.value
  const rowBytes = Math.ceil((width * bits) / 32) * 4
  // The padding of the last row is left out by some writers.
  if (dataOffset + rowBytes * (height - 1) + Math.ceil((width * bits) / 8) > file.length) {
    return { reason: 'is truncated: its rows end before the picture does' }
  }
  const unpack = bits <= 8 ? paletteRow(file, header.value) : maskedRow(file, header.value)
  if (unpack.value === undefined) return unpack
  const { channels, row } = unpack.value
  const bytes = new Uint8Array(width * height * channels)
  const breath = breathing()
  for (let y = 0; y < height; y++) {
    const stored = topDown ? y : height - 1 - y
    const problem = row(dataOffset + stored * rowBytes, bytes, y * width * channels)
    if (problem !== undefined) return { reason: problem }
    if (breath.due()) await breath.pause()
  }
  return { value: { bytes, width, height, channels } }
}

interface BmpHeader {
  readonly width: number
  readonly height: number
  readonly topDown: boolean
  readonly bits: number
  readonly dataOffset: number
  readonly paletteOffset: number
  readonly paletteEntryBytes: number
  readonly paletteEntries: number
  /** Red, green, blue, alpha; 0 where there is none. */
  readonly masks: readonly [number, number, number, number]
}

const fileHeaderBytes = 14
const headerSizes: ReadonlySet<number> = new Set([12, 40, 52, 56, 64, 108, 124])

function readHeader(file: Uint8Array, maxPixels: number): Outcome<BmpHeader> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const damaged = (detail: string): Outcome<never> => ({ reason: `is damaged or corrupt (${detail})` })
  if (file.length < fileHeaderBytes + 4) return { reason: 'is truncated: it ends inside its header' }
  const dataOffset = view.getUint32(10, true)
  const size = view.getUint32(14, true)
  if (!headerSizes.has(size)) return damaged(`a BMP header of ${size} bytes is not known`)
  if (file.length < fileHeaderBytes + size) return { reason: 'is truncated: it ends inside its header' }
  const core = size === 12
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true)
  const signedHeight = core ? view.getUint16(20, true) : view.getInt32(22, true)
  const height = Math.abs(signedHeight)
  const planes = view.getUint16(core ? 22 : 26, true)
  const bits = view.getUint16(core ? 24 : 28, true)
  const compression = core ? 0 : view.getUint32(30, true)
  const coloursUsed = core ? 0 : view.getUint32(46, true)
  if (width < 1 || height < 1) return damaged(`its size is ${width} x ${height}`)
  if (width * height > maxPixels) {
    return { reason: `is too large: it has more pixels than the limit allows (${width} x ${height})` }
  }
  if (planes !== 1) return damaged(`${planes} colour planes`)
  const name = foreignCompressions.get(compression)
  if (name !== undefined) {
    return { reason: `is a BMP with ${name} compression, which is not supported: convert it to PNG or JPEG` }
  }
  const masked = compression === 3 || compression === 6
  if (compression !== 0 && !masked) return damaged(`compression ${compression} is not known`)
  const allowed = masked ? [16, 32] : [1, 4, 8, 16, 24, 32]
  if (!allowed.includes(bits)) return damaged(`${bits} bits a pixel`)
  // Masks stand inside the longer headers, behind the short one.
  const masksInside = size >= 52
  const maskCount = compression === 6 || size >= 56 ? 4 : 3
  const masksEnd = fileHeaderBytes + (masked && !masksInside ? size + maskCount * 4 : size)
  if (file.length < masksEnd) return { reason: 'is truncated: it ends inside its header' }
  const mask = (at: number) => (masked && at < maskCount ? view.getUint32(fileHeaderBytes + 40 + at * 4, true) : 0)
  const paletteEntries = bits > 8 ? 0 : coloursUsed === 0 ? 2 ** bits : coloursUsed
  const paletteEntryBytes = core ? 3 : 4
  if (paletteEntries > 2 ** bits) return damaged(`a palette of ${paletteEntries} colours for ${bits} bits`)
  if (dataOffset < masksEnd + paletteEntries * paletteEntryBytes) return damaged('its pixels begin inside its header')
  return {
    value: {
      width,
      height,
      topDown: signedHeight < 0,
      bits,
      dataOffset,
      paletteOffset: masksEnd,
      paletteEntryBytes,
      paletteEntries,
      masks: masked ? [mask(0), mask(1), mask(2), mask(3)] : (plainMasks.get(bits) ?? [0, 0, 0, 0]),
    },
  }
}

const foreignCompressions: ReadonlyMap<number, string> = new Map([
  [1, 'run-length'],
  [2, 'run-length'],
  [4, 'JPEG'],
  [5, 'PNG'],
])

const plainMasks: ReadonlyMap<number, BmpHeader['masks']> = new Map([
  [16, [0x7c00, 0x3e0, 0x1f, 0]],
  // The fourth byte of 32 bits is unused; what stands there is no alpha.
  [32, [0xff0000, 0xff00, 0xff, 0]],
])

/** Unpacks a row into the picture; gives a reason when that is not possible. */
interface RowReader {
  readonly channels: 3 | 4
  row(from: number, into: Uint8Array, to: number): string | undefined
}

function paletteRow(file: Uint8Array, header: BmpHeader): Outcome<RowReader> {
  const { width, bits, paletteOffset, paletteEntryBytes, paletteEntries } = header
  const perByte = 8 / bits
  const lowest = 2 ** bits - 1
  return {
    value: {
      channels: 3,
      row(from, into, to) {
        for (let x = 0; x < width; x++) {
          const packed = file[from + Math.floor(x / perByte)] ?? 0
          const index = (packed >> (8 - bits - (x % perByte) * bits)) & lowest
          if (index >= paletteEntries) return `is damaged or corrupt (colour ${index} of ${paletteEntries})`
          const entry = paletteOffset + index * paletteEntryBytes
          for (let c = 0; c < 3; c++) into[to + x * 3 + c] = file[entry + 2 - c] ?? 0
        }
        return undefined
      },
    },
  }
}

function maskedRow(file: Uint8Array, { width, bits, masks }: BmpHeader): Outcome<RowReader> {
  if (bits === 24) {
    return {
      value: {
        channels: 3,
        row(from, into, to) {
          for (let at = 0; at < width * 3; at += 3) {
            for (let c = 0; c < 3; c++) into[to + at + c] = file[from + at + 2 - c] ?? 0
          }
          return undefined
        },
      },
    }
  }
  const channels = masks[3] === 0 ? 3 : 4
  const fields = masks.slice(0, channels).map((mask) => ({ mask, shift: Math.clz32(mask & -mask) ^ 31 }))
  // A mask is one run of ones.
  const broken = fields.some(({ mask, shift }) => mask === 0 || (((mask >>> shift) + 1) & (mask >>> shift)) !== 0)
  const together = masks.reduce((bitsSoFar, mask) => (bitsSoFar | mask) >>> 0, 0)
  if (broken || (bits === 16 && together > 0xffff))
    return { reason: 'is damaged or corrupt (its colour masks make no sense)' }
  const pixelBytes = bits / 8
  return {
    value: {
      channels,
      row(from, into, to) {
        for (let x = 0; x < width; x++) {
          const at = from + x * pixelBytes
          const low = (file[at] ?? 0) | ((file[at + 1] ?? 0) << 8)
          const pixel = bits === 16 ? low : (low | ((file[at + 2] ?? 0) << 16) | ((file[at + 3] ?? 0) << 24)) >>> 0
          for (const [c, { mask, shift }] of fields.entries()) {
            // To the whole range of a byte, rounded: 31 of 5 bits is 255.
            into[to + x * channels + c] = Math.floor((((pixel & mask) >>> shift) * 255) / (mask >>> shift) + 0.5)
          }
        }
        return undefined
      },
    },
  }
}
