import sharp from 'sharp'
import { withPixelWorker } from './pixel-workers.ts'

/**
 * A change of a picture and its numbers: a kernel of `assembly/pixels-change`, with what follows the picture's size in its arguments;
 * or `jpeg` and a quality.
 */
export type Change = readonly [name: ChangeName, ...numbers: readonly number[]]

export type ChangeName =
  | 'affine'
  | 'autocontrast'
  | 'blur'
  | 'brightness'
  | 'contrast'
  | 'elastic'
  | 'equalize'
  | 'fillBox'
  | 'flipHorizontally'
  | 'flipVertically'
  | 'grayscale'
  | 'hue'
  | 'invert'
  | 'jpeg'
  | 'mixAdd'
  | 'mixFinish'
  | 'mixRestart'
  | 'mixStart'
  | 'noise'
  | 'posterize'
  | 'saturation'
  | 'sharpness'
  | 'solarize'

/**
 * A picture after some changes, one after the other, made in a worker. The same bytes and numbers give the same bytes.
 * @param bytes  u8[height, width, 3]; left as they are
 * @throws RegraftError 'memory'
 */
export async function changePixels(
  bytes: Uint8Array,
  width: number,
  height: number,
  changes: readonly Change[],
): Promise<Uint8Array> {
  let picture = bytes
  for (let from = 0; from < changes.length; ) {
    const [name, quality = 0] = changes[from] ?? ['jpeg']
    if (name === 'jpeg') {
      picture = await throughJpeg(picture, width, height, quality)
      from += 1
      continue
    }
    const jpeg = changes.findIndex(([other], at) => at > from && other === 'jpeg')
    const end = jpeg < 0 ? changes.length : jpeg
    picture = await inWorker(picture, width, height, changes.slice(from, end))
    from = end
  }
  return picture
}

async function inWorker(
  bytes: Uint8Array,
  width: number,
  height: number,
  changes: readonly Change[],
): Promise<Uint8Array> {
  const answer = await withPixelWorker((worker) => worker.ask({ change: { bytes, width, height, changes } }))
  if (answer.bytes === undefined) throw new Error('a worker asked for rows of a picture that it has')
  return answer.bytes
}

/** Encoded and decoded again. */
async function throughJpeg(bytes: Uint8Array, width: number, height: number, quality: number): Promise<Uint8Array> {
  const encoded = await sharp(bytes, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer()
  const { data, info } = await sharp(encoded).raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new RangeError(`sharp gave ${info.channels} channels of a JPEG in colour.`)
  return data
}
