// The architectures by timm's names. Adding a family is a file and a line here.
import { RegraftError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import type { Architecture, Family } from './architecture.ts'
import { convnext } from './convnext.ts'
import { densenet } from './densenet.ts'
import { efficientnet } from './efficientnet.ts'
import { mnasnet } from './mnasnet.ts'
import { mobilenetV1 } from './mobilenet-v1.ts'
import { mobilenetV2 } from './mobilenet-v2.ts'
import { mobilenetV3 } from './mobilenet-v3.ts'
import { mobilenetV4 } from './mobilenet-v4.ts'
import { regnet } from './regnet.ts'
import { resnet } from './resnet.ts'
import { shufflenetV2 } from './shufflenet-v2.ts'
import { squeezenet } from './squeezenet.ts'
import { thumbnailResnet } from './thumbnail-resnet.ts'
import { vgg } from './vgg.ts'
import { vit } from './vit.ts'

const families: readonly Family[] = [
  mobilenetV1,
  mobilenetV2,
  mobilenetV3,
  mobilenetV4,
  mnasnet,
  efficientnet,
  resnet,
  thumbnailResnet,
  regnet,
  convnext,
  densenet,
  shufflenetV2,
  squeezenet,
  vgg,
  vit,
]

/** Names to suggest; any width of MobileNetV1, V2 and MNASNet in hundredths is understood. */
export const knownArchitectures: readonly string[] = families.flatMap(({ names }) => names)

/** Names by which weights are recognised, the usual ones first. */
export const recognisedArchitectures: readonly string[] = [
  ...new Set([...knownArchitectures, ...families.flatMap(({ moreNames = [] }) => moreNames)]),
]

/**
 * The architecture of a name: timm's, or torchvision's for the same network.
 * @throws RegraftError 'weights' with the nearest name
 */
export function architectureNamed(name: string): Architecture {
  for (const family of families) {
    const architecture = family.named(name)
    if (architecture) return architecture
  }
  const near = nearestName(name, knownArchitectures)
  throw new RegraftError(
    'weights',
    `The architecture '${name}' is not known.${near ? ` Did you mean '${near}'?` : ''}\nKnown: ${knownArchitectures.join(', ')}.`,
  )
}
