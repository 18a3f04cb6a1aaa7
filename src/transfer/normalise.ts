// `--normalize`: how the values of pixels become those that the network sees, from the training pictures alone. It follows from the
// pictures, so a run that goes on computes it again.
import type { KeptImages } from '../data/decode.ts'
import { loadBatches } from '../data/loader.ts'
import type { Preprocessing } from '../data/preprocessing.ts'
import type { Sample } from '../data/sample.ts'
import { digestOfMeanImage, isMeanImage } from '../model/mean-image.ts'
import { graphOf, type Model } from '../model/model.ts'
import type { HostTensor } from '../tensor/host-tensor.ts'
import { elementCount } from '../tensor/shape.ts'
import type { Timing } from './extract-features.ts'
import type { Normalisation, WorkOptions } from './options.ts'

export const normalisations = [
  'model',
  'channel-mean',
  'channel-mean-std',
  'mean-image',
  'none',
] as const satisfies readonly Normalisation[]

interface PassOptions extends Pick<WorkOptions, 'signal' | 'listener' | 'onError'> {
  readonly kept: KeptImages
  readonly timing: Timing
}

type Triple = readonly [number, number, number]
const zeros: Triple = [0, 0, 0]
const ones: Triple = [1, 1, 1]

/**
 * The model with its pictures normalised otherwise. Statistics are those of the training pictures as the network sees them without
 * augmentation; one that cannot be read is left out, and whoever comes next names it.
 * @param model  without a mean image, unless it stays as it is
 */
export async function normalised(
  model: Model,
  way: Normalisation,
  training: readonly Sample[],
  options: PassOptions,
): Promise<Model> {
  if (way === 'model') return model
  const plain: Preprocessing = { ...model.preprocessing, mean: zeros, std: ones }
  if (way === 'none') return { ...model, preprocessing: plain }
  const { sums, squares, pictures } = await sumsOf(plain, training, way === 'channel-mean-std', options)
  // Whoever comes next says that no picture can be read.
  if (pictures === 0) return { ...model, preprocessing: plain }
  if (way === 'mean-image') return withImage(model, plain, sums, pictures)
  const pixels = pictures * plain.height * plain.width
  const mean = overChannels((channel) => ofChannel(sums, channel) / pixels / 255)
  if (way === 'channel-mean') return { ...model, preprocessing: { ...plain, mean } }
  const std = overChannels((channel) => {
    const variance = ofChannel(squares, channel) / pixels / 255 ** 2 - mean[channel] ** 2
    // A channel without variance gets 1, as a feature does.
    return variance > 1e-12 ? Math.sqrt(variance) : 1
  })
  return { ...model, preprocessing: { ...plain, mean, std } }
}

function withImage(model: Model, plain: Preprocessing, sums: Float64Array, pictures: number): Model {
  const { height, width } = plain
  const places = height * width
  const image: HostTensor = {
    shape: [3, height, width],
    data: Float32Array.from({ length: 3 * places }, (_, at) => {
      const [channel, place] = [Math.floor(at / places), at % places]
      return (sums[place * 3 + channel] ?? 0) / pictures / 255
    }),
  }
  const preprocessing = { ...plain, meanImage: digestOfMeanImage(image) }
  const graph = graphOf({ ...model, preprocessing })
  const isMean = isMeanImage(graph)
  const name = graph.layers.map((layer) => `${layer.name}.mean`).find(isMean)
  if (name === undefined) throw new Error('a network with a mean image has a layer for it')
  return { ...model, preprocessing, tensors: new Map([...model.tensors, [name, image]]) }
}

/** Sums over pictures, place by place, as [H, W, 3]; whole numbers, so that their order does not matter. */
async function sumsOf(
  preprocessing: Preprocessing,
  training: readonly Sample[],
  squared: boolean,
  { signal, listener, onError, kept, timing }: PassOptions,
) {
  const values = elementCount([preprocessing.height, preprocessing.width, 3])
  const sums = new Float64Array(values)
  const squares = new Float64Array(squared ? values : 0)
  let pictures = 0
  let bad = 0
  listener?.({ type: 'phase', phase: 'normalise', total: training.length, unit: 'images' })
  for await (const { bytes, count } of loadBatches({
    samples: training,
    preprocessing,
    batchSize: 16,
    signal,
    onError,
    kept,
    statistics: timing.load,
    onBad: () => {
      bad++
    },
  })) {
    for (let picture = 0; picture < count; picture++) {
      const own = bytes.subarray(picture * values, (picture + 1) * values)
      for (let at = 0; at < values; at++) sums[at] = (sums[at] ?? 0) + (own[at] ?? 0)
      for (let at = 0; at < squares.length; at++) squares[at] = (squares[at] ?? 0) + (own[at] ?? 0) ** 2
    }
    pictures += count
    listener?.({ type: 'progress', phase: 'normalise', done: pictures + bad, total: training.length })
  }
  listener?.({ type: 'phaseEnd', phase: 'normalise' })
  return { sums, squares, pictures }
}

function ofChannel(values: Float64Array, channel: number): number {
  let sum = 0
  for (let at = channel; at < values.length; at += 3) sum += values[at] ?? 0
  return sum
}

function overChannels(of: (channel: 0 | 1 | 2) => number): Triple {
  return [of(0), of(1), of(2)]
}
