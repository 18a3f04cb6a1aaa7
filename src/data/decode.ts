import sharp, { type Sharp, type SharpOptions } from 'sharp'
import { RegraftError } from '../errors.ts'
import { sha256 } from '../files/digest.ts'
import { inertName } from '../inert-text.ts'
import type { Outcome } from './bad-file.ts'
import { readBmp } from './bmp.ts'
import { byteGate } from './byte-gate.ts'
import type { ContentDigest } from './content-digest.ts'
import type { Frame, FrameChoice } from './frame.ts'
import { imageBytes } from './image-bytes.ts'
import { type ImageKind, imageKind } from './image-kind.ts'
import type { Box, Pixels } from './pixels.ts'
import {
  defaultResize,
  evalGeometry,
  type Interpolation,
  type Preprocessing,
  roundHalfToEven,
} from './preprocessing.ts'
import { resample } from './resample.ts'

// Pictures are many and small: one thread each and several at a time beats several threads on one.
sharp.concurrency(1)
// No picture is asked for twice in a row; the cache would only hold memory.
sharp.cache(false)

/** As many as Pillow allows before it calls a picture a decompression bomb. */
const maxPixels = 178_956_970
/** A row has to fit into a strip of the workers that resize. */
const maxSide = 1_000_000
/** Decoded pictures in their full size, all together; a larger one is decoded alone. */
const fullSizeGate = byteGate(256 * 2 ** 20)

/** What the header of a picture says. */
export interface ImageHeader {
  readonly kind: ImageKind
  /** Pixels of the upright picture. */
  readonly width: number
  readonly height: number
  /** EXIF's number for how it is stored; 1 when it is upright or says nothing. */
  readonly orientation: number
  readonly colours: 'grey' | 'palette' | 'RGB' | 'CMYK' | 'other'
  readonly alpha: boolean
  /** Bits of a channel. */
  readonly bits: number
  /** Whether a colour profile is embedded. */
  readonly profile: boolean
  /** More than one in an animation or a document of several pages. */
  readonly frames: number
}

/**
 * A picture as the network's input: height x width x RGB bytes, row by row. Its contents decide the format, not its
 * name. Grey, palette, 16-bit and CMYK pictures become 8-bit sRGB, of an animation the first frame is taken.
 * @param source  path of a file, or the bytes of one
 * @param frame   what to cut out instead of the evaluation crop, or a function that chooses it by the picture's size
 * @throws 'data' for a file that is missing, damaged, cut short, too large, or in another format
 */
export async function decodeImage(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
  frame?: Frame | FrameChoice,
): Promise<Uint8Array> {
  const outcome = await tryDecode(source, preprocessing, frame)
  if (outcome.value !== undefined) return outcome.value
  throw badImage(source, outcome.reason, outcome.cause)
}

/**
 * As `decodeImage`, with a bad picture as a plain reason instead of an error, for lists of bad files.
 * @param contents  that the file must have; compared when it is read
 */
export async function tryDecode(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
  frame?: Frame | FrameChoice,
  kept?: KeptImages,
  contents?: ContentDigest,
): Promise<Outcome<Uint8Array>> {
  const opened = await openKept(source, preprocessing, kept, contents)
  return opened.value === undefined ? opened : await decodeOpen(opened.value, preprocessing, frame)
}

/** As `decodeImage`, of a picture that was decoded before: upright RGB. */
export async function placePixels(
  pixels: Pixels,
  preprocessing: Preprocessing,
  frame?: Frame | FrameChoice,
): Promise<Uint8Array> {
  const { width, height } = pixels
  const chosen = typeof frame === 'function' ? frame(width, height) : frame
  const placement = chosen ? framePlacement(chosen, preprocessing) : evalPlacement(width, height, preprocessing)
  const part = placement.box ? cutOut(pixels, placement.box) : pixels
  const { resizeWidth, resizeHeight, window } = placement
  const { interpolation } = preprocessing
  const mirrored = chosen?.flip ?? false
  const rgb = await resample(part, { width: resizeWidth, height: resizeHeight, window, interpolation, mirrored })
  return paste(rgb, placement, preprocessing)
}

function cutOut({ bytes, width, height, channels }: Pixels, box: Box): Pixels {
  checkInside(box, width, height)
  const rowBytes = box.width * channels
  const part = new Uint8Array(box.height * rowBytes)
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * width + box.left) * channels
    part.set(bytes.subarray(from, from + rowBytes), y * rowBytes)
  }
  return { bytes: part, width: box.width, height: box.height, channels }
}

/** As `tryDecode`, with the header beside the bytes. */
export async function tryInspect(
  source: string | Uint8Array,
  preprocessing: (header: ImageHeader) => Preprocessing,
): Promise<Outcome<{ readonly header: ImageHeader; readonly bytes: Uint8Array }>> {
  const opened = await openImage(source, {})
  if (opened.value === undefined) return opened
  const { header } = opened.value
  const decoded = await decodeOpen(opened.value, preprocessing(header))
  return decoded.value === undefined ? decoded : { value: { header, bytes: decoded.value } }
}

async function decodeOpen(
  { header: { width, height }, bytes, options, nakedCmyk }: OpenImage,
  preprocessing: Preprocessing,
  frame?: Frame | FrameChoice,
): Promise<Outcome<Uint8Array>> {
  const chosen = typeof frame === 'function' ? frame(width, height) : frame
  const placement = chosen ? framePlacement(chosen, preprocessing) : evalPlacement(width, height, preprocessing)
  const box = placement.box ?? { left: 0, top: 0, width, height }
  checkInside(box, width, height)
  try {
    const image = sharp(bytes, options)
    if (placement.box) image.extract(placement.box)
    const rgb = await resized(image, box, placement, preprocessing, nakedCmyk, chosen?.flip ?? false)
    return { value: paste(rgb, placement, preprocessing) }
  } catch (cause) {
    return blame(cause)
  }
}

/**
 * Format and upright size of a picture, from its header.
 * @throws 'data' as `decodeImage`, though damage behind the header stays unseen
 */
export async function imageHeader(source: string | Uint8Array): Promise<ImageHeader> {
  const opened = await openImage(source, {})
  if (opened.value === undefined) throw badImage(source, opened.reason, opened.cause)
  return opened.value.header
}

/**
 * Encoded pictures and what their headers say, kept from one epoch to the next: reading a file and its header costs as much of
 * the main thread as starting to decode it. What does not fit is read again.
 */
export interface KeptImages {
  readonly maxBytes: number
  usedBytes: number
  readonly images: Map<string, Outcome<OpenImage>>
}

/** Keeps at most `maxBytes` of encoded pictures. */
export function keptImages(maxBytes = 256 * 2 ** 20): KeptImages {
  return { maxBytes, usedBytes: 0, images: new Map() }
}

async function openKept(
  source: string | Uint8Array,
  preprocessing: Preprocessing,
  kept: KeptImages | undefined,
  contents: ContentDigest | undefined,
): Promise<Outcome<OpenImage>> {
  if (kept === undefined || typeof source !== 'string') return await openImage(source, preprocessing, contents)
  const known = kept.images.get(source)
  if (known !== undefined) return known
  const opened = await openImage(source, preprocessing, contents)
  const size = opened.value?.bytes.byteLength ?? 0
  if (opened.value !== undefined && kept.usedBytes + size <= kept.maxBytes && !kept.images.has(source)) {
    kept.usedBytes += size
    kept.images.set(source, opened)
  }
  return opened
}

interface OpenImage {
  readonly header: ImageHeader
  readonly bytes: Uint8Array
  readonly options: SharpOptions
  /** CMYK without a profile, which says what its inks look like: converted as Pillow does, by formula. */
  readonly nakedCmyk: boolean
}

async function openImage(
  source: string | Uint8Array,
  preprocessing: Pick<Preprocessing, 'reading'>,
  contents?: ContentDigest,
): Promise<Outcome<OpenImage>> {
  const read = typeof source === 'string' ? await imageBytes(source) : { value: source }
  if (read.value === undefined) return read
  const bytes = read.value
  if (contents && (bytes.length !== contents.bytes || sha256(bytes) !== contents.sha256))
    return { reason: 'was changed after its contents were looked at' }
  if (bytes.length === 0) return { reason: 'is empty' }
  const kind = imageKind(bytes)
  if (kind.value === undefined) return kind
  const asStored = preprocessing.reading === 'timm'
  const options: SharpOptions = {
    failOn: 'warning',
    autoOrient: !asStored,
    ignoreIcc: asStored,
    limitInputPixels: maxPixels,
    sequentialRead: true,
  }
  if (kind.value === 'bmp') {
    const bitmap = await readBmp(bytes, maxPixels)
    if (bitmap.value === undefined) return bitmap
    const { width, height, channels } = bitmap.value
    const alpha = channels === 4
    return upToSide({
      header: { ...plainHeader, kind: 'bmp', width, height, alpha },
      bytes: bitmap.value.bytes,
      options: { raw: { width, height, channels }, limitInputPixels: maxPixels },
      nakedCmyk: false,
    })
  }
  try {
    const said = await sharp(bytes, options).metadata()
    const { width, height } = asStored ? said : said.autoOrient
    const nakedCmyk = said.space === 'cmyk' && (asStored || said.icc === undefined)
    const header: ImageHeader = {
      kind: kind.value,
      width,
      height,
      orientation: said.orientation !== undefined && said.orientation <= 8 ? Math.max(1, said.orientation) : 1,
      colours: said.isPalette ? 'palette' : (colourNames.get(said.space ?? '') ?? 'other'),
      alpha: said.hasAlpha ?? false,
      bits: depthBits.get(said.depth ?? '') ?? 8,
      profile: said.hasProfile ?? false,
      frames: said.pages ?? 1,
    }
    return upToSide({ header, bytes, options, nakedCmyk })
  } catch (cause) {
    return blame(cause)
  }
}

/** What most pictures are. */
const plainHeader = { orientation: 1, colours: 'RGB', alpha: false, bits: 8, profile: false, frames: 1 } as const

const colourNames: ReadonlyMap<string, ImageHeader['colours']> = new Map([
  ['b-w', 'grey'],
  ['grey16', 'grey'],
  ['srgb', 'RGB'],
  ['rgb', 'RGB'],
  ['rgb16', 'RGB'],
  ['cmyk', 'CMYK'],
])

const depthBits: ReadonlyMap<string, number> = new Map([
  ['uchar', 8],
  ['char', 8],
  ['ushort', 16],
  ['short', 16],
  ['uint', 32],
  ['int', 32],
  ['float', 32],
  ['double', 64],
])

function upToSide(image: OpenImage): Outcome<OpenImage> {
  const { width, height } = image.header
  if (Math.max(width, height) <= maxSide) return { value: image }
  return { reason: `is too large: ${width} x ${height} pixels, the limit is ${maxSide} on a side` }
}

/** Where the pixels of the network's input come from. */
interface Placement {
  /** Part of the upright picture that is resized; undefined: all of it. */
  readonly box?: Box
  readonly resizeWidth: number
  readonly resizeHeight: number
  /** Part of the resized picture that is wanted. */
  readonly window: Box
  /** Where the window lies in the network's input; the rest is filled. */
  readonly pasteLeft: number
  readonly pasteTop: number
}

function evalPlacement(imageWidth: number, imageHeight: number, preprocessing: Preprocessing): Placement {
  const { resizeWidth, resizeHeight, left, top, width, height } = evalGeometry(imageWidth, imageHeight, preprocessing)
  return {
    resizeWidth,
    resizeHeight,
    window: {
      left: Math.max(0, left),
      top: Math.max(0, top),
      width: Math.min(width, resizeWidth),
      height: Math.min(height, resizeHeight),
    },
    pasteLeft: Math.max(0, -left),
    pasteTop: Math.max(0, -top),
  }
}

function framePlacement(frame: Frame, { width, height }: Preprocessing): Placement {
  const box = { left: frame.left, top: frame.top, width: frame.width, height: frame.height }
  const window = { left: 0, top: 0, width, height }
  return { box, resizeWidth: width, resizeHeight: height, window, pasteLeft: 0, pasteTop: 0 }
}

function checkInside(box: Box, width: number, height: number): void {
  const inside = box.left >= 0 && box.top >= 0 && box.left + box.width <= width && box.top + box.height <= height
  if (!inside || box.width < 1 || box.height < 1) {
    throw new RangeError(`The frame ${JSON.stringify(box)} does not lie inside the picture of ${width}x${height}.`)
  }
}

/** The window of the resized picture, as RGB. libvips shrinks; what has to grow, or must be exact, is done by `resample`. */
async function resized(
  image: Sharp,
  box: Box,
  { resizeWidth, resizeHeight, window }: Placement,
  { interpolation, resize = defaultResize, reading }: Preprocessing,
  nakedCmyk: boolean,
  mirrored: boolean,
): Promise<Uint8Array> {
  const exact = resize === 'exact' || interpolation === 'nearest'
  const width = exact ? box.width : Math.min(box.width, resizeWidth)
  const height = exact ? box.height : Math.min(box.height, resizeHeight)
  const finished = width === resizeWidth && height === resizeHeight && !nakedCmyk && !mirrored

  if (nakedCmyk) image.pipelineColourspace('cmyk').toColourspace('cmyk')
  else if (reading === 'timm') image.removeAlpha().toColourspace('srgb')
  else image.flatten({ background: 'white' }).toColourspace('srgb')
  if (width !== box.width || height !== box.height) {
    // fastShrinkOnLoad would let the JPEG decoder shrink below twice the size; above, that is closer to Pillow than
    // libvips itself (4000 pixels to 224: mean error 0.4 of 255 against 0.9).
    image.resize({ width, height, fit: 'fill', kernel: kernels[interpolation], fastShrinkOnLoad: false })
  }
  if (finished && (window.width !== width || window.height !== height)) image.extract(window)

  const expected = finished ? window : { width, height }
  const channels = nakedCmyk ? 4 : 3
  return await fullSizeGate.pass(expected.width * expected.height * channels, async () => {
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.width !== expected.width || info.height !== expected.height || info.channels !== channels) {
      throw new RangeError(
        `sharp gave ${info.width}x${info.height}x${info.channels}, expected ${expected.width}x${expected.height}x${channels}.`,
      )
    }
    if (finished) return data
    const pixels: Pixels = { bytes: data, width: info.width, height: info.height, channels }
    return await resample(pixels, { width: resizeWidth, height: resizeHeight, window, interpolation, mirrored })
  })
}

// Nearest to Pillow's filters of these names on photos: mean error 0.2 of 255 when shrinking.
const kernels = {
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
  nearest: 'nearest',
} as const satisfies Record<Interpolation, string>

function paste(bytes: Uint8Array, placement: Placement, preprocessing: Preprocessing): Uint8Array {
  const { width, height, cropMode, mean } = preprocessing
  const { window, pasteLeft, pasteTop } = placement
  if (window.width === width && window.height === height) return bytes
  const output = new Uint8Array(width * height * 3)
  // torchvision fills with black, timm's border mode with the mean.
  if (cropMode === 'border') {
    const fill = mean.map((value) => Math.min(255, Math.max(0, roundHalfToEven(255 * value))))
    for (let i = 0; i < output.length; i++) output[i] = fill[i % 3] ?? 0
  }
  const rowBytes = window.width * 3
  for (let y = 0; y < window.height; y++) {
    output.set(bytes.subarray(y * rowBytes, (y + 1) * rowBytes), ((pasteTop + y) * width + pasteLeft) * 3)
  }
  return output
}

function badImage(source: string | Uint8Array, reason: string, cause: unknown): RegraftError {
  const file = typeof source === 'string' ? source : undefined
  return new RegraftError('data', `${file === undefined ? 'The picture' : inertName(file)} ${reason}.`, { file, cause })
}

/**
 * What sharp says about the picture, in plain words. Anything that sharp did not say is our own mistake and is thrown. libvips keeps its
 * messages in one place for all threads, so its words may be those about another picture, or be gone: only sharp's own are told apart.
 */
function blame(cause: unknown): Outcome<never> {
  // What we say ourselves is about the machine, and a sound picture is not to suffer for that.
  if (!(cause instanceof Error) || cause instanceof RegraftError) throw cause
  if (cause instanceof TypeError || cause instanceof RangeError) throw cause
  if (/out of memory|unable to allocate|cannot allocate/i.test(cause.message)) throw cause
  if (/^Input (image|buffer) exceeds pixel limit/i.test(cause.message)) {
    return { reason: 'is too large: it has more pixels than the limit allows', cause }
  }
  if (/^Input (file|buffer) contains unsupported image format/i.test(cause.message)) {
    return { reason: 'is damaged, or a variant of its format that is not supported', cause }
  }
  if (/^Input (file|buffer) has corrupt header/i.test(cause.message)) {
    return { reason: 'is truncated or damaged: its header is corrupt', cause }
  }
  return { reason: 'is truncated or damaged', cause }
}
