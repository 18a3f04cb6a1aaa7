// What can be told from colours and places alone: the yardstick that a network has to beat.
import sharp from 'sharp'

const SIDE = 8

/** A picture with its class. */
export interface LabelledJpeg {
  readonly jpeg: Uint8Array
  readonly label: string
}

/** Share of `unseen` whose 8x8 RGB thumbnail is nearest to the mean thumbnail of its own class in `train`. */
export async function nearestCentroidAccuracy(
  train: readonly LabelledJpeg[],
  unseen: readonly LabelledJpeg[],
): Promise<number> {
  const centroids = new Map<string, { sum: Float64Array; count: number }>()
  for (const { jpeg, label } of train) {
    const centroid = centroids.get(label) ?? { sum: new Float64Array(SIDE * SIDE * 3), count: 0 }
    for (const [at, value] of (await thumbnail(jpeg)).entries()) centroid.sum[at] = (centroid.sum[at] ?? 0) + value
    centroid.count += 1
    centroids.set(label, centroid)
  }
  let right = 0
  for (const { jpeg, label } of unseen) {
    const values = await thumbnail(jpeg)
    let nearest: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [candidate, { sum, count }] of centroids) {
      let distance = 0
      for (const [at, value] of values.entries()) distance += (value - (sum[at] ?? 0) / count) ** 2
      if (distance < least) {
        least = distance
        nearest = candidate
      }
    }
    if (nearest === label) right += 1
  }
  return unseen.length === 0 ? 0 : right / unseen.length
}

async function thumbnail(jpeg: Uint8Array): Promise<Uint8Array> {
  return sharp(jpeg).resize(SIDE, SIDE, { fit: 'fill' }).removeAlpha().toColourspace('srgb').raw().toBuffer()
}
