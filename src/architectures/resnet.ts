import { graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding } from '../ops/window.ts'
import type { ArchitectureOptions } from './architecture.ts'
import { networkArguments } from './build-options.ts'

/**
 * ResNet of basic blocks (18 and 34 layers).
 * @param repeats    blocks in each of the four stages
 * @param baseWidth  channels of the first stage, 64 in the paper
 * @see He et al. 2015, https://arxiv.org/abs/1512.03385
 */
export function resnetBasic(
  name: string,
  repeats: readonly number[],
  baseWidth: number,
  options: ArchitectureOptions,
): Graph {
  const { padType, epsilon, momentum } = networkArguments(name, options.args)
  const pad = (zeros: number) => (padType === 'same' ? 'same' : evenPadding(zeros))
  const linearNorm = { epsilon, momentum } as const
  const norm = { ...linearNorm, activation: 'relu' } as const
  const net = graphBuilder()
  const { height, width, mean, std } = options
  const input = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  let x = net.layer('conv2d', 'conv1', { outChannels: baseWidth, kernel: [7, 7], stride: [2, 2], padding: pad(3) }, [
    input,
  ])
  x = net.layer('batchNorm', 'bn1', norm, [x])
  x = net.layer('maxPool', 'maxpool', { kernel: [3, 3], stride: [2, 2], padding: evenPadding(1) }, [x])
  let channels = baseWidth
  for (const [stage, count] of repeats.entries()) {
    const outChannels = baseWidth * 2 ** stage
    for (let index = 0; index < count; index++) {
      const block = `layer${stage + 1}.${index}`
      const stride = index === 0 && stage > 0 ? 2 : 1
      net.at(`layer${stage + 1}`, block)
      const entry = x
      let shortcut = entry
      if (stride !== 1 || channels !== outChannels) {
        shortcut = net.layer(
          'conv2d',
          `${block}.downsample.0`,
          { outChannels, kernel: [1, 1], stride: [stride, stride], padding: [0, 0, 0, 0] },
          [entry],
        )
        shortcut = net.layer('batchNorm', `${block}.downsample.1`, linearNorm, [shortcut])
      }
      x = net.layer(
        'conv2d',
        `${block}.conv1`,
        { outChannels, kernel: [3, 3], stride: [stride, stride], padding: pad(1) },
        [entry],
      )
      x = net.layer('batchNorm', `${block}.bn1`, norm, [x])
      x = net.layer('conv2d', `${block}.conv2`, { outChannels, kernel: [3, 3], stride: [1, 1], padding: pad(1) }, [x])
      x = net.layer('batchNorm', `${block}.bn2`, linearNorm, [x])
      x = net.layer('add', `${block}.add`, { activation: 'relu' }, [shortcut, x])
      channels = outChannels
    }
  }
  net.at('head')
  const features = net.layer('globalAveragePool', 'global_pool', {}, [x])
  if (options.classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'fc', { outFeatures: options.classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}
