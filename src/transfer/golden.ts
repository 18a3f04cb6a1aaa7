// Pictures that anybody can make again, and what a model gives for them: saved beside models, so that readers can check themselves.
import type { Engine } from '../kernels/engine.ts'
import type { Model } from '../model/model.ts'
import { randomStream } from '../random.ts'
import { openReadout } from './neighbour-head.ts'
import { opened } from './opened.ts'
import { openInference, openSession } from './session.ts'

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

/** What a model gives for pictures: RGB bytes of its input size. @returns [count, outputs] */
export async function outputsOf(
  engine: Engine,
  model: Model,
  pictures: Uint8Array,
  count: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const all = opened()
  try {
    const session = all.add(await openSession(engine, model))
    const runner = all.add(await openInference(engine, session, count, [], signal))
    runner.writeBytes(pictures)
    await runner.run(count, { signal })
    const readout = all.add(await openReadout(engine, model))
    return await readout.read(runner.read(session.graph.output, count), signal)
  } finally {
    all.close()
  }
}
