import type { Outcome } from './bad-file.ts'

/** Formats that are decoded. */
export type ImageKind = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif' | 'bmp'

/** Endings that go with a format. */
export const extensionsOf: Readonly<Record<ImageKind, readonly string[]>> = {
  jpeg: ['jpg', 'jpeg', 'jfif'],
  png: ['png'],
  gif: ['gif'],
  webp: ['webp'],
  tiff: ['tif', 'tiff'],
  avif: ['avif'],
  bmp: ['bmp', 'dib'],
}

/** Endings of file names that are taken for pictures. */
export const imageExtensions: ReadonlySet<string> = new Set(Object.values(extensionsOf).flat())

/** Endings of pictures that cannot be decoded, and the name of the format. */
export const unreadableExtensions: ReadonlyMap<string, string> = new Map(
  Object.entries({
    heic: 'HEIC',
    heif: 'HEIC',
    hif: 'HEIC',
    svg: 'SVG',
    svgz: 'SVG',
    pdf: 'PDF',
    eps: 'EPS',
    ai: 'Illustrator',
    psd: 'Photoshop',
    xcf: 'GIMP',
    ico: 'icon',
    tga: 'TGA',
    jp2: 'JPEG 2000',
    j2k: 'JPEG 2000',
    jpx: 'JPEG 2000',
    jxl: 'JPEG XL',
    ppm: 'PPM',
    pgm: 'PGM',
    pbm: 'PBM',
    pnm: 'PNM',
    exr: 'OpenEXR',
    hdr: 'HDR',
    dng: 'raw camera',
    cr2: 'raw camera',
    cr3: 'raw camera',
    nef: 'raw camera',
    arw: 'raw camera',
    orf: 'raw camera',
    rw2: 'raw camera',
    raf: 'raw camera',
    dcm: 'DICOM',
    fits: 'FITS',
  }),
)

/** Says that a format is not read and what to do about it. */
export function unreadable(format: string): string {
  return `is in ${format} format, which is not supported: convert it to PNG or JPEG`
}

/** What the first bytes say, whatever the file is called; anything but the known formats is refused by name. */
export function imageKind(bytes: Uint8Array): Outcome<ImageKind> {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096)).toString('latin1')
  for (const [start, value] of signatures) if (head.startsWith(start)) return { value }
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return { value: 'webp' }
  if (head.startsWith('ftyp', 4)) {
    const brands = head.slice(8, 40)
    if (/avi[fs]/.test(brands)) return { value: 'avif' }
    return { reason: unreadable(/hei[cfxms]|hev[cx]|mif1|msf1/.test(brands) ? 'HEIC' : 'video') }
  }
  for (const [start, format] of foreignSignatures) if (head.startsWith(start)) return { reason: unreadable(format) }
  return { reason: describeOther(head, bytes) }
}

const signatures: readonly (readonly [string, ImageKind])[] = [
  ['\xff\xd8', 'jpeg'],
  ['\x89PNG\r\n\x1a\n', 'png'],
  ['GIF87a', 'gif'],
  ['GIF89a', 'gif'],
  ['II*\0', 'tiff'],
  ['MM\0*', 'tiff'],
  ['II+\0', 'tiff'],
  ['MM\0+', 'tiff'],
  ['BM', 'bmp'],
]

const foreignSignatures: readonly (readonly [string, string])[] = [
  ['%PDF', 'PDF'],
  ['%!PS', 'PostScript'],
  ['8BPS', 'Photoshop'],
  ['\0\0\x01\0', 'icon'],
  ['\0\0\0\x0cJXL ', 'JPEG XL'],
  ['\xff\x0a', 'JPEG XL'],
  ['\0\0\0\x0cjP  ', 'JPEG 2000'],
  ['\xff\x4f\xff\x51', 'JPEG 2000'],
  ['PK\x03\x04', 'ZIP'],
  ['\x1f\x8b', 'gzip'],
]

function describeOther(head: string, bytes: Uint8Array): string {
  if (head.startsWith('version https://git-lfs')) {
    return 'is not an image but a Git LFS pointer: fetch the pictures with git lfs pull'
  }
  const text = head.replace(/^\xef\xbb\xbf/, '').trimStart()
  if (/^<(!doctype html|html|head|body)/i.test(text)) return 'is not an image but an HTML page'
  if (text.startsWith('<') && /<svg[\s>]|<!doctype svg/i.test(text)) return unreadable('SVG')
  if (/^P[1-7]\s/.test(text)) return unreadable('PNM')
  if (isZero(bytes)) return 'is not an image: it holds only zeros'
  if (/^[\t\n\r\x20-\x7e]*$/.test(head)) return 'is not an image but text'
  return 'is not an image in a known format'
}

function isZero(bytes: Uint8Array): boolean {
  const zeros = Buffer.alloc(2 ** 20)
  for (let from = 0; from < bytes.length; from += zeros.length) {
    const part = bytes.subarray(from, from + zeros.length)
    if (!zeros.subarray(0, part.length).equals(part)) return false
  }
  return true
}
