// All kinds of pictures on one sheet, for a first look.
import sharp from 'sharp'
import { difficulty } from './difficulty.ts'

const GAP = 4

/** A row of pictures for each thing, as one JPEG. @param rows encoded pictures, all of the demo's size */
export async function contactSheet(rows: readonly (readonly Uint8Array[])[]): Promise<Uint8Array> {
  const step = difficulty.side + GAP
  const columns = Math.max(1, ...rows.map((row) => row.length))
  const tiles = rows.flatMap((row, y) =>
    row.map((picture, x) => ({ input: Buffer.from(picture), left: GAP + x * step, top: GAP + y * step })),
  )
  return sharp({
    create: { width: GAP + columns * step, height: GAP + rows.length * step, channels: 3, background: '#ffffff' },
  })
    .composite(tiles)
    .jpeg({ quality: 88 })
    .toBuffer()
}
