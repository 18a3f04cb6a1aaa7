import sharp from 'sharp'

/** Which libraries decode pictures here; another one may give other bytes for the same file. */
export const decoderVersion: string = JSON.stringify([process.platform, process.arch, sharp.versions])
