// The demo's data: folders of drawn pictures, as many of each thing.
import * as path from 'node:path'
import { throwIfAborted } from '../../errors.ts'
import { writeAll } from '../../files/atomic-write.ts'
import { diskError } from '../../files/disk-error.ts'
import { fileSystem } from '../../files/file-system.ts'
import { createFolder } from '../../files/folder.ts'
import { drawPicture } from './picture.ts'
import { allThings, type Thing, type ThingName } from './things.ts'

export const parts = ['train', 'val', 'unseen'] as const
export type Part = (typeof parts)[number]

/** Pictures of each thing. */
export type PartCounts = Readonly<Record<Part, number>>

export interface PictureSetOptions {
  readonly things: readonly ThingName[]
  readonly counts: PartCounts
  readonly seed: number
  readonly signal?: AbortSignal | undefined
}

/** A picture of the set before it lies anywhere. */
export interface DrawnPicture {
  readonly part: Part
  readonly thing: ThingName
  /** Within the part and the thing, from 0. */
  readonly index: number
  readonly jpeg: Uint8Array
}

/** Pictures that are drawn at the same time: sharp has threads of its own. */
const AT_ONCE = 8

/** Draws the whole set: part by part, thing by thing. The same options give the same bytes. */
export async function* drawPictures({
  things,
  counts,
  seed,
  signal,
}: PictureSetOptions): AsyncGenerator<DrawnPicture, void, undefined> {
  const wanted = parts.flatMap((part) =>
    things.flatMap((thing) => Array.from({ length: counts[part] }, (_, index) => ({ part, thing, index }))),
  )
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    throwIfAborted(signal)
    yield* await Promise.all(
      wanted.slice(at, at + AT_ONCE).map(async (picture, offset) => {
        const thing: Thing = allThings[picture.thing]
        return { ...picture, jpeg: await drawPicture(thing, { seed, sample: at + offset }) }
      }),
    )
  }
}

/**
 * Writes the set as `<folder>/<part>/<thing>/<number>.jpg`.
 * @param each  sees every picture after it was written
 */
export async function writePictures(
  folder: string,
  options: PictureSetOptions,
  each: (picture: DrawnPicture, file: string) => void,
): Promise<void> {
  for (const part of parts) for (const thing of options.things) await createFolder(path.join(folder, part, thing))
  for await (const picture of drawPictures(options)) {
    const file = path.join(folder, picture.part, picture.thing, `${String(picture.index + 1).padStart(2, '0')}.jpg`)
    await writePlain(file, picture.jpeg)
    each(picture, file)
  }
}

/** Without waiting for the disk to have it for good: what is lost can be drawn again. */
async function writePlain(file: string, bytes: Uint8Array): Promise<void> {
  try {
    const handle = await fileSystem().open(file, 'overwrite')
    try {
      await writeAll(handle, bytes)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw diskError(error, { verb: 'write', path: file, neededBytes: bytes.length })
  }
}
