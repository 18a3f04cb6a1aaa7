// The architectures by timm's names. Widths are part of the name: mobilenetv2_035, mobilenetv1_025.
import { RegraftError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import type { Architecture } from './architecture.ts'
import { roundChannels } from './build-options.ts'
import { mobilenetV1 } from './mobilenet-v1.ts'
import { mobilenetV2 } from './mobilenet-v2.ts'
import { resnetBasic } from './resnet.ts'

/** Names to suggest; any width of MobileNetV1 and V2 in hundredths is understood. */
export const knownArchitectures = [
  'mobilenetv1_025',
  'mobilenetv1_050',
  'mobilenetv1_075',
  'mobilenetv1_100',
  'mobilenetv1_125',
  'mobilenetv2_035',
  'mobilenetv2_050',
  'mobilenetv2_075',
  'mobilenetv2_100',
  'mobilenetv2_140',
  'resnet18',
  'resnet34',
] as const

/**
 * The architecture of a name: timm's, or torchvision's for the same network.
 * @throws RegraftError 'weights' with the nearest name
 */
export function architectureNamed(name: string): Architecture {
  const mobile = /^mobilenetv([12])_(\d{3})$/.exec(name === 'mobilenet_v2' ? 'mobilenetv2_100' : name)
  if (mobile) {
    const multiplier = Number(mobile[2]) / 100
    const version = mobile[1] === '1' ? mobilenetV1 : mobilenetV2
    if (multiplier > 0 && multiplier <= 4) {
      return {
        name,
        classifier: 'classifier',
        firstConvolution: 'conv_stem',
        features:
          mobile[1] === '1' ? roundChannels(1024, multiplier) : multiplier > 1 ? roundChannels(1280, multiplier) : 1280,
        build: (options) => version(name, multiplier, options),
      }
    }
  }
  const repeats = name === 'resnet18' ? [2, 2, 2, 2] : name === 'resnet34' ? [3, 4, 6, 3] : undefined
  if (repeats) {
    return {
      name,
      classifier: 'fc',
      firstConvolution: 'conv1',
      features: 512,
      build: (options) => resnetBasic(name, repeats, 64, options),
    }
  }
  const near = nearestName(name, knownArchitectures)
  throw new RegraftError(
    'weights',
    `The architecture '${name}' is not known.${near ? ` Did you mean '${near}'?` : ''}\nKnown: ${knownArchitectures.join(', ')}.`,
  )
}
