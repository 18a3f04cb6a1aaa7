// Pretrained networks by name: where their weights lie, under which licence, and what was checked of them. What is not known is absent.
// Parameters, multiply-adds and accuracies are those of timm's result tables; the digest of the weights comes from the hub and is pinned
// on first use.
import { architectureNamed } from '../architectures/index.ts'
import { RegraftError } from '../errors.ts'

export interface Card {
  /** timm's name with its tag. */
  readonly name: string
  /** timm's name of the network. */
  readonly architecture: string
  /** `owner/name` on the hub. */
  readonly repository: string
  /** SPDX identifier, in small letters. */
  readonly licence: string
  /** Side of the pictures that the figures are for. */
  readonly imgSize: number
  /** In millions. */
  readonly parameters: number
  /** Multiply-adds a picture, in thousand millions. */
  readonly gigaMultiplyAdds: number
  /** Share of ImageNet's validation pictures; absent where the network has no classifier. */
  readonly top1?: number
  /** What it is good for. */
  readonly use: string
}

/** Networks to begin with, the usual weights of each network first. */
export const cards: readonly Card[] = [
  card('mobilenetv2_100.ra_in1k', 'apache-2.0', 224, 3.5, 0.31, 0.729, 'small, and known best'),
  card('mobilenetv3_small_100.lamb_in1k', 'apache-2.0', 224, 2.54, 0.06, 0.676, 'the fastest of use'),
  card('mobilenetv3_large_100.ra_in1k', 'apache-2.0', 224, 5.48, 0.23, 0.758, 'much for little computing'),
  card('resnet18.a1_in1k', 'apache-2.0', 224, 11.69, 1.82, 0.715, 'simple'),
  card('resnet18.tv_in1k', 'bsd-3-clause', 224, 11.69, 1.82, 0.698, 'simple; the weights of torchvision'),
  card('resnet34.a1_in1k', 'apache-2.0', 224, 21.8, 3.67, 0.764, 'simple and larger'),
  card('resnet50.a1_in1k', 'apache-2.0', 224, 25.56, 4.11, 0.804, 'the standard for feature vectors'),
  card('resnet50.tv2_in1k', 'bsd-3-clause', 224, 25.56, 4.11, 0.808, 'the standard; the weights of torchvision'),
  card('efficientnet_b0.ra_in1k', 'apache-2.0', 224, 5.29, 0.4, 0.777, 'popular'),
  card('efficientnet_lite0.ra_in1k', 'apache-2.0', 224, 4.65, 0.4, 0.755, 'to be quantised elsewhere'),
  card('mobilenetv4_conv_small.e2400_r224_in1k', 'apache-2.0', 224, 3.77, 0.19, 0.738, 'little computing and memory'),
  card('regnety_002.pycls_in1k', 'mit', 224, 3.16, 0.2, 0.703, 'little computing'),
  card('convnext_atto.d2_in1k', 'apache-2.0', 224, 3.7, 0.55, 0.757, 'no batch norm: for the smallest batches'),
  card('convnext_femto.d1_in1k', 'apache-2.0', 224, 5.22, 0.79, 0.775, 'no batch norm: for the smallest batches'),
  card('convnext_tiny.in12k_ft_in1k', 'apache-2.0', 224, 28.59, 4.47, 0.842, 'strong feature vectors'),
  card('mobilenetv1_100.ra4_e3600_r224_in1k', 'apache-2.0', 224, 4.23, 0.58, 0.754, 'the simplest network'),
  card('vit_tiny_patch16_224.augreg_in21k_ft_in1k', 'apache-2.0', 224, 5.72, 1.26, 0.755, 'a small transformer'),
  card(
    'vit_small_patch14_dinov2.lvd142m',
    'apache-2.0',
    518,
    22.06,
    46.8,
    undefined,
    'feature vectors for few pictures',
  ),
]

function card(
  name: string,
  licence: string,
  imgSize: number,
  parameters: number,
  gigaMultiplyAdds: number,
  top1: number | undefined,
  use: string,
): Card {
  const architecture = name.split('.')[0] ?? name
  const figures = { imgSize, parameters, gigaMultiplyAdds, ...(top1 === undefined ? {} : { top1 }) }
  return { name, architecture, repository: `timm/${name}`, licence, ...figures, use }
}

/** The card of a name, or of a network's name alone, which means its usual weights. */
export function cardNamed(name: string): Card | undefined {
  return cards.find((each) => each.name === name) ?? cards.find((each) => each.architecture === name)
}

/** Whether regraft builds a network. */
export function isBuilt(architecture: string): boolean {
  try {
    architectureNamed(architecture)
    return true
  } catch (error) {
    if (error instanceof RegraftError) return false
    throw error
  }
}
