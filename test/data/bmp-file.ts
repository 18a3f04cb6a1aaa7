/** What a test bitmap is made of; a picture of 2 x 2 black pixels in 24 bits when nothing is said. */
export interface BmpParts {
  readonly width?: number
  /** Negative: the first row is the upper one. */
  readonly height?: number
  readonly bits?: number
  readonly compression?: number
  readonly headerBytes?: number
  /** Red, green, blue, alpha. */
  readonly masks?: readonly number[]
  /** Entries of blue, green, red, unused. */
  readonly palette?: readonly (readonly number[])[]
  readonly coloursUsed?: number
  readonly planes?: number
  /** Rows as they are stored, padding included. */
  readonly rows?: Uint8Array
}

/** A BMP file. */
export function bmp(parts: BmpParts = {}): Buffer {
  const { width = 2, height = 2, bits = 24, compression = 0, headerBytes = 40, masks = [], palette = [] } = parts
  const rows = parts.rows ?? new Uint8Array(Math.ceil((width * bits) / 32) * 4 * Math.abs(height))
  const core = headerBytes === 12
  const header = Buffer.alloc(14 + headerBytes + (headerBytes === 40 ? masks.length * 4 : 0))
  const colours = Buffer.from(palette.flatMap((entry) => (core ? entry.slice(0, 3) : entry)))
  header.write('BM', 'latin1')
  header.writeUInt32LE(header.length + colours.length + rows.length, 2)
  header.writeUInt32LE(header.length + colours.length, 10)
  header.writeUInt32LE(headerBytes, 14)
  if (core) {
    for (const [at, value] of [width, height, parts.planes ?? 1, bits].entries())
      header.writeUInt16LE(value, 18 + at * 2)
  } else {
    header.writeInt32LE(width, 18)
    header.writeInt32LE(height, 22)
    header.writeUInt16LE(parts.planes ?? 1, 26)
    header.writeUInt16LE(bits, 28)
    header.writeUInt32LE(compression, 30)
    header.writeUInt32LE(parts.coloursUsed ?? palette.length, 46)
    for (const [at, mask] of masks.entries()) header.writeUInt32LE(mask, 54 + at * 4)
  }
  return Buffer.concat([header, colours, rows])
}
