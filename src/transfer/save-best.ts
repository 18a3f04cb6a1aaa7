// `best/` of a run: written aside, then put in place, so that there is always a whole one.
import * as path from 'node:path'
import { removeFolder } from '../files/folder.ts'
import { replaceFolder } from '../files/replace-folder.ts'
import type { Engine } from '../kernels/engine.ts'
import type { Model } from '../model/model.ts'
import { saveModel } from '../model/save.ts'
import { randomStream } from '../random.ts'
import { checkFinite } from './finite-weights.ts'
import { opened } from './opened.ts'
import { openInference, openSession } from './session.ts'

const GOLDEN_PICTURES = 2

/** Pictures of soft random blobs, the same everywhere: enough to tell whether a reader computes what we do. */
export function goldenPictures(count: number, height: number, width: number): Uint8Array {
  const bytes = new Uint8Array(count * height * width * 3)
  for (let picture = 0; picture < count; picture++) {
    const random = randomStream({ seed: 0, sample: picture, purpose: 'golden picture' })
    // Bilinear interpolation of a coarse random grid.
    const grid = 5
    const knots = Float64Array.from({ length: grid * grid * 3 }, () => 255 * random.uniform())
    // Down first: what lies between two rows of the grid serves the whole line.
    const line = new Float64Array((grid + 1) * 3)
    for (let y = 0; y < height; y++) {
      const gy = (y / height) * (grid - 1)
      const top = Math.floor(gy)
      for (let at = 0; at < line.length; at++) {
        const column = Math.min(Math.floor(at / 3), grid - 1)
        const knot = (row: number) => knots[(Math.min(row, grid - 1) * grid + column) * 3 + (at % 3)] ?? 0
        line[at] = (1 - (gy - top)) * knot(top) + (gy - top) * knot(top + 1)
      }
      for (let x = 0; x < width; x++) {
        const gx = (x / width) * (grid - 1)
        const left = Math.floor(gx)
        for (let channel = 0; channel < 3; channel++) {
          const at = left * 3 + channel
          const value = (1 - (gx - left)) * (line[at] ?? 0) + (gx - left) * (line[at + 3] ?? 0)
          bytes[((picture * height + y) * width + x) * 3 + channel] = Math.round(value)
        }
      }
    }
  }
  return bytes
}

/** @param extras  `golden`: an engine to compute golden outputs with */
export async function saveBest(
  out: string,
  model: Model,
  extras: { training: unknown; golden?: Engine; signal?: AbortSignal | undefined },
): Promise<void> {
  await checkFinite(model.tensors, 'The weights that were trained')
  const fresh = path.join(out, 'best.new')
  await removeFolder(fresh)
  const golden = extras.golden ? await goldenOf(extras.golden, model, extras.signal) : undefined
  await saveModel(model, fresh, { training: extras.training, ...(golden ? { golden } : {}) })
  await replaceFolder(fresh, path.join(out, 'best'))
}

async function goldenOf(engine: Engine, model: Model, signal: AbortSignal | undefined) {
  const { height, width } = model.preprocessing
  const pictures = goldenPictures(GOLDEN_PICTURES, height, width)
  const all = opened()
  try {
    const session = all.add(await openSession(engine, model))
    const runner = all.add(await openInference(engine, session, GOLDEN_PICTURES, [], signal))
    runner.writeBytes(pictures)
    await runner.run(GOLDEN_PICTURES, { signal })
    const data = runner.read(session.graph.output, GOLDEN_PICTURES)
    return {
      pictures,
      count: GOLDEN_PICTURES,
      outputs: { shape: [GOLDEN_PICTURES, data.length / GOLDEN_PICTURES], data },
      kernels: engine.build,
    }
  } finally {
    all.close()
  }
}
