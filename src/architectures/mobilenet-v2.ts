import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import type { ArchitectureOptions, Family } from './architecture.ts'
import { networkArguments, paddingFor, roundChannels } from './build-options.ts'
import { everyWidth } from './widths.ts'

// Expansion, repeats, stride of the first, width at multiplier 1: table 2 of the paper.
const STAGES = [
  [1, 1, 1, 16],
  [6, 2, 2, 24],
  [6, 3, 2, 32],
  [6, 4, 2, 64],
  [6, 3, 1, 96],
  [6, 3, 2, 160],
  [6, 1, 1, 320],
] as const

// torchvision numbers the blocks 1 … 17 through all stages; timm counts them within each of these.
const torchvisionNames: ReadonlyMap<string, string> = new Map([
  ['features.0.0', 'conv_stem'],
  ['features.0.1', 'bn1'],
  ...STAGES.flatMap(([expansion, repeats], stage) => {
    const before = STAGES.slice(0, stage).reduce((sum, [, count]) => sum + count, 1)
    const layers =
      expansion === 1
        ? { '0.0': 'conv_dw', '0.1': 'bn1', '1': 'conv_pw', '2': 'bn2' }
        : { '0.0': 'conv_pw', '0.1': 'bn1', '1.0': 'conv_dw', '1.1': 'bn2', '2': 'conv_pwl', '3': 'bn3' }
    return Array.from({ length: repeats }, (_, index) => index).flatMap((index) =>
      Object.entries(layers).map(
        ([theirs, ours]) => [`features.${before + index}.conv.${theirs}`, `blocks.${stage}.${index}.${ours}`] as const,
      ),
    )
  }),
  ['features.18.0', 'conv_head'],
  ['features.18.1', 'bn2'],
  ['classifier.1', 'classifier'],
])

export const mobilenetV2: Family = everyWidth(
  'mobilenetv2',
  ['035', '050', '075', '100', '140'],
  (name, multiplier) => ({
    name,
    classifier: 'classifier',
    firstConvolution: 'conv_stem',
    features: multiplier > 1 ? roundChannels(1280, multiplier) : 1280,
    build: (options) => mobilenetV2Graph(name, multiplier, options),
    torchvision: { names: torchvisionNames },
  }),
  { mobilenet_v2: 'mobilenetv2_100' },
)

/**
 * MobileNetV2: inverted residuals with linear bottlenecks.
 * The last convolution keeps 1280 channels below multiplier 1 (timm's and the paper's rule).
 * @see Sandler et al. 2018, https://arxiv.org/abs/1801.04381
 */
export function mobilenetV2Graph(name: string, multiplier: number, options: ArchitectureOptions): Graph {
  const { padType, epsilon, momentum } = networkArguments(name, options.args)
  const linearNorm = { epsilon, momentum } as const
  const norm = { ...linearNorm, activation: 'relu6' } as const
  const net = graphBuilder()
  const { height, width, mean, std } = options
  const pointwise = (outChannels: number) =>
    ({ outChannels, kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0] }) as const
  const input = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  let channels = roundChannels(32, multiplier)
  let x = net.layer(
    'conv2d',
    'conv_stem',
    { outChannels: channels, kernel: [3, 3], stride: [2, 2], padding: paddingFor(padType, 3, 2) },
    [input],
  )
  x = net.layer('batchNorm', 'bn1', norm, [x])
  for (const [stage, [expansion, repeats, firstStride, outWidth]] of STAGES.entries()) {
    for (let index = 0; index < repeats; index++) {
      const block = `blocks.${stage}.${index}`
      const stride = index === 0 ? firstStride : 1
      const outChannels = roundChannels(outWidth, multiplier)
      net.at(`blocks.${stage}`, block)
      const shortcut = x
      const expanded = expansion > 1
      if (expanded) {
        x = net.layer('conv2d', `${block}.conv_pw`, pointwise(channels * expansion), [x])
        x = net.layer('batchNorm', `${block}.bn1`, norm, [x])
      }
      x = net.layer(
        'depthwiseConv2d',
        `${block}.conv_dw`,
        { kernel: [3, 3], stride: [stride, stride], padding: paddingFor(padType, 3, stride) },
        [x],
      )
      x = net.layer('batchNorm', `${block}.${expanded ? 'bn2' : 'bn1'}`, norm, [x])
      x = net.layer('conv2d', `${block}.${expanded ? 'conv_pwl' : 'conv_pw'}`, pointwise(outChannels), [x])
      x = net.layer('batchNorm', `${block}.${expanded ? 'bn3' : 'bn2'}`, linearNorm, [x])
      if (stride === 1 && channels === outChannels) x = net.layer('add', `${block}.add`, {}, [shortcut, x])
      channels = outChannels
    }
  }
  net.at('head')
  x = net.layer('conv2d', 'conv_head', pointwise(multiplier > 1 ? roundChannels(1280, multiplier) : 1280), [x])
  x = net.layer('batchNorm', 'bn2', norm, [x])
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (options.classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'classifier', { outFeatures: options.classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
