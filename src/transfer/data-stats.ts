// The verb `data stats`: what the pictures of a place are, file by file or all together.
import { type ColourSums, colourSums } from '../data/colour-sums.ts'
import { contentDigest } from '../data/content-digest.ts'
import { type ImageHeader, tryInspect } from '../data/decode.ts'
import { decodesAtATime } from '../data/decodes-at-a-time.ts'
import { countInputs, type InputImage, inputImages } from '../data/expand-inputs.ts'
import { inOrderStream } from '../data/in-order-stream.ts'
import { factCounter } from '../data/picture-facts.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import { RegraftError } from '../errors.ts'
import { compareCodePoints } from '../files/folder.ts'
import { inertName } from '../inert-text.ts'
import type { DataOptions, DataStats, FileStats } from './data-options.ts'

type StatsOptions = Pick<DataOptions, 'signal' | 'listener'>

/** A row per file, in the order of `predict` and `embed`, decoded in full. */
export async function* fileStats(
  inputs: readonly string[],
  options: StatsOptions,
): AsyncGenerator<FileStats, void, undefined> {
  for await (const { image, looked } of lookedAt(inputs, options)) {
    const { header, colours, bytes, sha256, reason } = looked
    yield {
      path: image.path,
      label: image.label ?? null,
      format: header?.kind ?? null,
      width: header?.width ?? null,
      height: header?.height ?? null,
      meanRgb: colours === undefined ? null : means(colours),
      bytes: bytes ?? null,
      sha256: sha256 ?? null,
      error: reason ?? null,
    }
  }
}

/** All files together. @throws RegraftError 'data' when there is none */
export async function dataStats(inputs: readonly string[], options: StatsOptions): Promise<DataStats> {
  const counter = factCounter()
  const classes = new Map<string, { images: number; unreadable: number }>()
  const mean: [number, number, number] = [0, 0, 0]
  const square: [number, number, number] = [0, 0, 0]
  let images = 0
  let unreadable = 0
  let total = 0
  for await (const { image, looked } of lookedAt(inputs, options)) {
    const { header, colours, bytes = 0 } = looked
    const name = image.label ?? ''
    const ofClass = classes.get(name) ?? { images: 0, unreadable: 0 }
    classes.set(name, ofClass)
    total += bytes
    if (header === undefined || colours === undefined) {
      unreadable += 1
      ofClass.unreadable += 1
      options.listener?.({ type: 'bad', path: image.path, reason: looked.reason ?? '' })
      continue
    }
    images += 1
    ofClass.images += 1
    counter.add(header)
    for (const c of [0, 1, 2] as const) {
      mean[c] += colours.sums[c] / colours.pixels / 255
      square[c] += colours.squares[c] / colours.pixels / 255 / 255
    }
  }
  if (images + unreadable === 0) {
    throw new RegraftError('data', `There are no pictures in ${inputs.map((input) => inertName(input)).join(', ')}.`)
  }
  const over = (values: readonly [number, number, number], of: (value: number, c: 0 | 1 | 2) => number) =>
    images === 0 ? null : ([of(values[0], 0), of(values[1], 1), of(values[2], 2)] as const)
  return {
    images,
    unreadable,
    bytes: total,
    classes: [...classes].sort((a, b) => compareCodePoints(a[0], b[0])).map(([name, counts]) => ({ name, ...counts })),
    facts: counter.facts(),
    meanRgb: over(mean, (sum) => sum / images),
    stdRgb: over(square, (sum, c) => Math.sqrt(Math.max(0, sum / images - (mean[c] / images) ** 2))),
  }
}

interface Looked {
  readonly header?: ImageHeader
  readonly colours?: ColourSums
  readonly bytes?: number
  readonly sha256?: string
  readonly reason?: string
}

async function* lookedAt(
  inputs: readonly string[],
  { signal, listener }: StatsOptions,
): AsyncGenerator<{ readonly image: InputImage; readonly looked: Looked }, void, undefined> {
  const concurrency = decodesAtATime()
  const total = await countInputs(inputs, signal)
  const work = async (image: InputImage) => ({ image, looked: await lookAtAll(image, signal) })
  let done = 0
  listener?.({ type: 'phase', phase: 'check', total, unit: 'images' })
  for await (const each of inOrderStream(inputImages(inputs, signal), work, {
    concurrency,
    ahead: 4 * concurrency,
    signal,
  })) {
    yield each
    done += 1
    listener?.({ type: 'progress', phase: 'check', done, total })
  }
  listener?.({ type: 'phaseEnd', phase: 'check' })
}

async function lookAtAll({ file, error }: InputImage, signal: AbortSignal | undefined): Promise<Looked> {
  const digest = await contentDigest(file, signal)
  const contents = digest === undefined ? {} : { bytes: digest.bytes, sha256: digest.sha256 }
  if (error !== undefined) return { ...contents, reason: error }
  const { value, reason } = await tryInspect(file, wholePicture)
  if (value === undefined) return { ...contents, reason }
  return { ...contents, header: value.header, colours: await colourSums(value.bytes) }
}

/** Every pixel of the upright picture. */
function wholePicture({ width, height }: ImageHeader): Preprocessing {
  return { width, height, cropPct: 1, cropMode: 'squash', interpolation: 'bilinear', mean: [0, 0, 0], std: [1, 1, 1] }
}

function means({ pixels, sums }: ColourSums): [number, number, number] {
  return [sums[0] / pixels, sums[1] / pixels, sums[2] / pixels]
}
