// From a scene to pixels as a camera would give them.
import sharp from 'sharp'
import { randomStream } from '../../random.ts'
import { difficulty } from './difficulty.ts'
import { type PictureAddress, scene } from './scene.ts'
import type { Thing } from './things.ts'

/** One picture as a JPEG file. The same thing and address give the same bytes. */
export async function drawPicture(thing: Thing, address: PictureAddress): Promise<Uint8Array> {
  const random = randomStream({ ...address, purpose: 'demo:camera' })
  const blur = difficulty.blur * random.uniform()
  const drawn = sharp(Buffer.from(scene(thing, address)))
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
  // Less than this sharp refuses, and nobody would see.
  const seen = blur < 0.3 ? drawn : drawn.blur(blur)
  const { data, info } = await seen.raw().toBuffer({ resolveWithObject: true })
  addNoise(data, difficulty.noise * random.uniform(), address)
  const quality = 70 + random.integer(26)
  return sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } })
    .jpeg({ quality })
    .toBuffer()
}

/** Adds noise of a triangular distribution, to each channel its own. */
function addNoise(pixels: Uint8Array, deviation: number, address: PictureAddress): void {
  const random = randomStream({ ...address, purpose: 'demo:noise' })
  // The sum of two dice of 256 faces has a standard deviation of 104.5.
  const scale = deviation / 104.5
  let word = 0
  for (let at = 0; at < pixels.length; at++) {
    if (at % 2 === 0) word = random.uint32()
    const dice = (word & 255) + ((word >>> 8) & 255) - 255
    word >>>= 16
    pixels[at] = Math.min(255, Math.max(0, Math.round((pixels[at] ?? 0) + scale * dice)))
  }
}
