import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeImage, imageHeader } from '../../src/data/decode.ts'
import { pixel, shared, wholePicture } from './pictures.ts'

interface HostileImage {
  readonly id: string
  readonly kind: string
  readonly file: string
  readonly expect: 'accept' | 'reject' | 'either'
  readonly tolerate?: string
  readonly message?: string
  readonly width?: number
  readonly height?: number
  readonly quadrants?: Readonly<Record<'tl' | 'tr' | 'bl' | 'br', readonly number[]>>
  readonly tolerance?: number
}

const folder = join(shared, 'hostile', 'corpus')
const present = existsSync(join(folder, 'index.json'))
const cases: readonly HostileImage[] = present ? JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')).cases : []

describe.skipIf(!present)('hostile pictures', () => {
  test.each(cases.filter(({ kind }) => kind === 'image').map((image) => [image.id, image] as const))(
    '%s',
    async (_, image) => {
      const file = join(folder, image.file)
      const { width, height, bytes, error } = await decodeWhole(file)
      if (error !== undefined) {
        expect([image.expect, image.tolerate], error.message).not.toEqual(['accept', undefined])
        expect(error).toMatchObject({ code: 'data', file })
        if (image.expect === 'reject') expect(error.message).toMatch(new RegExp(image.message ?? '', 'i'))
        return
      }
      expect(image.expect).not.toBe('reject')
      if (image.width !== undefined) expect([width, height]).toEqual([image.width, image.height])
      const { quadrants, tolerance = 0 } = image
      if (quadrants === undefined) return
      const places = { tl: [0.25, 0.25], tr: [0.75, 0.25], bl: [0.25, 0.75], br: [0.75, 0.75] } as const
      for (const [place, [x, y]] of Object.entries(places)) {
        const seen = pixel(bytes, width, Math.floor(x * width), Math.floor(y * height))
        const wanted = quadrants[place as keyof typeof places] // a key of `places`
        for (let c = 0; c < 3; c++)
          expect(Math.abs((seen[c] ?? 0) - (wanted[c] ?? 0)), place).toBeLessThanOrEqual(tolerance)
      }
    },
  )
})

async function decodeWhole(file: string) {
  try {
    const { width, height } = await imageHeader(file)
    return { width, height, bytes: await decodeImage(file, wholePicture(width, height)), error: undefined }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { width: 0, height: 0, bytes: new Uint8Array(), error }
  }
}
