// Pictures of a step mixed in pairs, and their labels with them: mixup blends two, cutmix puts a box of one into the other. Pairs and
// shares are drawn for the step, so they do not depend on the parts in which it is computed.
import { type RandomStream, randomStream } from '../random.ts'
import { gamma } from './gamma.ts'
import type { Batch } from './loader.ts'
import type { Box } from './pixels.ts'

/** Both parameters of the Beta distribution that shares are drawn from; 0 switches a way of mixing off. */
export interface Mixing {
  /** @see Zhang et al. 2017, https://arxiv.org/abs/1710.09412 */
  readonly mixup: number
  /** @see Yun et al. 2019, https://arxiv.org/abs/1905.04899 */
  readonly cutmix: number
}

export interface MixOptions {
  readonly mixing: Mixing
  readonly classes: number
  readonly width: number
  readonly height: number
  readonly seed: number
  readonly epoch: number
  /** Pictures of the epoch that are passed already; a step begins there. */
  readonly from: number
  /** Pictures of a step; the last one may have fewer. */
  readonly stepPictures: number
}

/** Labels are those of which a picture has most. */
export interface MixedBatch extends Batch {
  /** f32[count, classes]: how much of each class a picture has. */
  readonly shares: Float32Array
}

/** Where both are on, a step is mixed in one of the two ways: timm's `switch_prob`. */
const CUTMIX_SHARE = 0.5

/** The same batches, their pictures mixed in place. A step is waited for before the first of its batches is given. */
export async function* mixedBatches(
  batches: AsyncIterable<Batch>,
  options: MixOptions,
): AsyncGenerator<MixedBatch, void, undefined> {
  const { from, stepPictures, seed, epoch } = options
  let step = Math.floor(from / stepPictures)
  let parts: Batch[] = []
  let count = 0
  const mixed = () => {
    const random = randomStream({ seed, epoch, sample: step++, purpose: 'mixing of pictures' })
    const done = mixStep(parts, options, random)
    parts = []
    count = 0
    return done
  }
  for await (const batch of batches) {
    parts.push(batch)
    count += batch.count
    if (count === stepPictures) yield* mixed()
  }
  if (count > 0) yield* mixed()
}

/** The first picture of a step is mixed with its last, the second with the last but one, and so on, as in timm: an epoch's order is random. */
function mixStep(parts: readonly Batch[], options: MixOptions, random: RandomStream): readonly MixedBatch[] {
  const { mixing, classes, width, height } = options
  const cut = mixing.mixup > 0 && mixing.cutmix > 0 ? random.uniform() < CUTMIX_SHARE : mixing.cutmix > 0
  const drawn = betaShare(cut ? mixing.cutmix : mixing.mixup, random)
  const box = cut ? boxOf(1 - drawn, width, height, random) : undefined
  // The box may be cut off at the edge of the picture.
  const own = box ? 1 - (box.width * box.height) / (width * height) : drawn
  const pictureBytes = width * height * 3
  const pictures = parts.flatMap(({ bytes, labels }) =>
    Array.from(labels, (label, at) => ({ bytes: bytes.subarray(at * pictureBytes, (at + 1) * pictureBytes), label })),
  )
  for (let at = 0; at < Math.floor(pictures.length / 2); at++) {
    const [a, b] = [pictures[at], pictures[pictures.length - 1 - at]]
    if (!a || !b) throw new Error('a step has fewer pictures than it has')
    if (box) swapBox(a.bytes, b.bytes, box, width)
    else blend(a.bytes, b.bytes, own)
  }
  let next = 0
  return parts.map((part) => {
    const shares = new Float32Array(part.count * classes)
    const labels = part.labels.map((label, row) => {
      const other = pictures[pictures.length - 1 - next++]?.label ?? label
      for (const [share, of] of [
        [own, label],
        [1 - own, other],
      ] as const)
        shares[row * classes + of] = (shares[row * classes + of] ?? 0) + share
      return own >= 0.5 ? label : other
    })
    return { ...part, labels, shares }
  })
}

/** Each becomes a mean of both, rounded to bytes: `own` of itself, the rest of the other. */
function blend(a: Uint8Array, b: Uint8Array, own: number): void {
  const rest = 1 - own
  for (let at = 0; at < a.length; at++) {
    const [one, other] = [a[at] ?? 0, b[at] ?? 0]
    a[at] = one * own + other * rest + 0.5
    b[at] = other * own + one * rest + 0.5
  }
}

function swapBox(a: Uint8Array, b: Uint8Array, box: Box, width: number): void {
  for (let y = box.top; y < box.top + box.height; y++) {
    const [from, to] = [(y * width + box.left) * 3, (y * width + box.left + box.width) * 3]
    const kept = a.slice(from, to)
    a.set(b.subarray(from, to), from)
    b.set(kept, from)
  }
}

/** A box of the picture's shape and of a share of its area, with its middle anywhere in the picture; what would lie outside is left away. */
function boxOf(share: number, width: number, height: number, random: RandomStream): Box {
  const side = Math.sqrt(share)
  const half = (size: number) => Math.floor(Math.floor(size * side) / 2)
  const middleY = random.integer(height)
  const middleX = random.integer(width)
  const top = Math.max(0, middleY - half(height))
  const left = Math.max(0, middleX - half(width))
  return {
    top,
    left,
    height: Math.min(height, middleY + half(height)) - top,
    width: Math.min(width, middleX + half(width)) - left,
  }
}

/** Beta(alpha, alpha): small alphas give shares near 0 or 1, large ones near a half. */
function betaShare(alpha: number, random: RandomStream): number {
  const [a, b] = [gamma(alpha, random), gamma(alpha, random)]
  // Both too small for a number: the limit for small alphas is one or the other.
  return a + b > 0 ? a / (a + b) : random.integer(2)
}
