import { type GraphBuilder, graphBuilder } from '../graph/builder.ts'
import type { Graph } from '../graph/graph.ts'
import { evenPadding } from '../ops/window.ts'
import { type ArchitectureOptions, familyOf } from './architecture.ts'
import { refuseArguments } from './build-options.ts'

interface Variant {
  /** Rows and columns of a patch. */
  readonly patch: number
  readonly channels: number
  readonly heads: number
  /** What the branches are scaled by at first; they are not scaled when left out. */
  readonly firstScale?: number
}

// Table 1 of the papers on DeiT and DINOv2.
const tiny = { channels: 192, heads: 3 } as const
const small = { channels: 384, heads: 6 } as const
const variants: Readonly<Record<string, Variant>> = {
  vit_tiny_patch16_224: { ...tiny, patch: 16 },
  vit_small_patch16_224: { ...small, patch: 16 },
  vit_small_patch14_dinov2: { ...small, patch: 14, firstScale: 1e-5 },
}

const DEPTH = 12
const EXPANSION = 4
const norm = { epsilon: 1e-6 } as const

export const vit = familyOf(variants, (name, variant) => ({
  name,
  classifier: 'head',
  firstConvolution: 'patch_embed.proj',
  features: variant.channels,
  sizeArgument: 'img_size',
  build: (options) => vitGraph(name, variant, options),
}))

/**
 * Vision transformer. Its positions are resampled when pictures are of another size than those it was trained on.
 * @see Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929; Oquab et al. 2023, https://arxiv.org/abs/2304.07193
 */
function vitGraph(name: string, variant: Variant, options: ArchitectureOptions): Graph {
  const { img_size: _, ...others } = options.args ?? {}
  refuseArguments(name, others)
  const net = graphBuilder()
  const { height, width, mean, std, classes } = options
  const { patch, channels } = variant
  let x = net.layer('imageInput', 'input', { height, width, mean, std }, [])
  const window = { kernel: [patch, patch], stride: [patch, patch], padding: evenPadding(0) } as const
  x = net.layer('conv2d', 'patch_embed.proj', { ...window, outChannels: channels, bias: true }, [x])
  x = net.layer('classToken', 'cls_token', {}, [x])
  x = net.layer('positions', 'pos_embed', {}, [x])
  for (let index = 0; index < DEPTH; index++) {
    net.at(`blocks.${index}`, `blocks.${index}`)
    x = block(net, x, `blocks.${index}`, variant)
  }
  net.at('head')
  x = net.layer('layerNorm', 'norm', norm, [x])
  const features = net.layer('firstToken', 'token', {}, [x])
  if (classes === 0) return net.finish({ output: features, features })
  const classifier = net.layer('linear', 'head', { outFeatures: classes, bias: true }, [features])
  return net.finish({ output: classifier, features, classifier })
}

function block(net: GraphBuilder, input: string, name: string, { channels, heads, firstScale }: Variant): string {
  const linear = (layer: string, outFeatures: number, from: string) =>
    net.layer('linear', `${name}.${layer}`, { outFeatures, bias: true }, [from])
  const joined = (branch: string, at: number, to: string) => {
    const x =
      firstScale === undefined
        ? branch
        : net.layer('layerScale', `${name}.ls${at}.gamma`, { initial: firstScale }, [branch])
    return net.layer('add', `${name}.add${at}`, {}, [to, x])
  }
  let x = net.layer('layerNorm', `${name}.norm1`, norm, [input])
  x = linear('attn.qkv', 3 * channels, x)
  x = net.layer('attention', `${name}.attn`, { heads }, [x])
  const middle = joined(linear('attn.proj', channels, x), 1, input)
  x = net.layer('layerNorm', `${name}.norm2`, norm, [middle])
  x = linear('mlp.fc1', EXPANSION * channels, x)
  x = net.layer('activation', `${name}.mlp.act`, { kind: 'gelu' }, [x])
  return joined(linear('mlp.fc2', channels, x), 2, middle)
}
