// Light and colours. Factors are torchvision's: 1 changes nothing.
import { between } from './between.ts'
import { number, range, wholeNumber } from './fields.ts'
import { defineKind } from './kind.ts'

const factor = range([0.8, 1.2], { from: 0, to: 10, around: 1 })

export const colour = [
  defineKind({
    name: 'brightness',
    help: 'all bytes times a factor',
    alsoKnownAs: ['colorJitter', 'randomBrightness'],
    fields: { factor },
    main: 'factor',
    probability: 1,
    effects: (options, stream) => [{ change: ['brightness', between(options.factor, stream)] }],
  }),
  defineKind({
    name: 'contrast',
    help: 'away from the mean lightness (above 1) or towards it',
    alsoKnownAs: ['randomContrast'],
    fields: { factor },
    main: 'factor',
    probability: 1,
    effects: (options, stream) => [{ change: ['contrast', between(options.factor, stream)] }],
  }),
  defineKind({
    name: 'saturation',
    help: 'away from grey (above 1) or towards it',
    alsoKnownAs: ['color'],
    fields: { factor },
    main: 'factor',
    probability: 1,
    effects: (options, stream) => [{ change: ['saturation', between(options.factor, stream)] }],
  }),
  defineKind({
    name: 'hue',
    help: 'colours turned by a part of their circle: 1 is all of it',
    alsoKnownAs: ['hueSaturationValue'],
    fields: { shift: range([-0.05, 0.05], { from: -1, to: 1, around: 0 }) },
    main: 'shift',
    probability: 1,
    effects: ({ shift }, stream) => [{ change: ['hue', between(shift, stream)] }],
  }),
  defineKind({
    name: 'grayscale',
    help: 'without colours',
    alsoKnownAs: ['randomGrayscale', 'toGray', 'greyscale'],
    fields: {},
    probability: 0.1,
    effects: () => [{ change: ['grayscale'] }],
  }),
  defineKind({
    name: 'sharpness',
    help: 'away from what is blurred (above 1) or towards it',
    alsoKnownAs: ['randomAdjustSharpness', 'sharpen'],
    fields: { factor },
    main: 'factor',
    probability: 1,
    effects: (options, stream) => [{ change: ['sharpness', between(options.factor, stream)] }],
  }),
  defineKind({
    name: 'posterize',
    help: 'only the upper bits of each byte',
    alsoKnownAs: ['randomPosterize'],
    fields: { bits: wholeNumber(4, { from: 1, to: 8 }) },
    main: 'bits',
    probability: 0.5,
    effects: ({ bits }) => [{ change: ['posterize', bits] }],
  }),
  defineKind({
    name: 'solarize',
    help: 'bytes from the threshold on are inverted',
    alsoKnownAs: ['randomSolarize'],
    fields: { threshold: number(128, { from: 0, to: 256 }) },
    main: 'threshold',
    probability: 0.5,
    effects: ({ threshold }) => [{ change: ['solarize', threshold] }],
  }),
  defineKind({
    name: 'autocontrast',
    help: 'each channel from 0 to 255',
    alsoKnownAs: ['randomAutocontrast'],
    fields: {},
    probability: 0.5,
    effects: () => [{ change: ['autocontrast'] }],
  }),
  defineKind({
    name: 'equalize',
    help: 'all bytes of a channel equally often',
    alsoKnownAs: ['randomEqualize'],
    fields: {},
    probability: 0.5,
    effects: () => [{ change: ['equalize'] }],
  }),
  defineKind({
    name: 'invert',
    help: 'a negative',
    alsoKnownAs: ['randomInvert', 'invertImg'],
    fields: {},
    probability: 0.5,
    effects: () => [{ change: ['invert'] }],
  }),
] as const
