// What cameras, files and obstacles do to a picture.
import { between } from './between.ts'
import { oneOf, range, wholeNumber } from './fields.ts'
import { defineKind, type Effect } from './kind.ts'
import { colourOf } from './outside.ts'

export const quality = [
  defineKind({
    name: 'gaussianBlur',
    help: 'blurred over sigma pixels',
    alsoKnownAs: ['blur', 'randomBlur'],
    fields: { sigma: range([0.1, 2], { from: 0.05, to: 64 }) },
    main: 'sigma',
    probability: 0.5,
    effects: ({ sigma }, stream) => [{ change: ['blur', between(sigma, stream)] }],
  }),
  defineKind({
    name: 'gaussianNoise',
    help: 'noise of standard deviation sigma, on the scale 0 to 1, in each byte',
    alsoKnownAs: ['gaussNoise', 'noise'],
    fields: { sigma: range([0.02, 0.1], { from: 0, to: 1 }) },
    main: 'sigma',
    probability: 0.5,
    effects(options, stream) {
      const sigma = between(options.sigma, stream)
      return [{ change: ['noise', 255 * sigma, stream.uint32(), stream.uint32()] }]
    },
  }),
  defineKind({
    name: 'jpeg',
    help: 'written as JPEG of this quality and read again',
    alsoKnownAs: ['imageCompression', 'jpegCompression'],
    fields: { quality: range([30, 90], { from: 1, to: 100 }) },
    main: 'quality',
    probability: 0.5,
    effects: (options, stream) => [{ change: ['jpeg', Math.round(between(options.quality, stream))] }],
  }),
  defineKind({
    name: 'cutout',
    help: 'squares of one colour; size is their side as a part of the shorter side, the parts outside are lost',
    alsoKnownAs: ['coarseDropout'],
    fields: {
      size: range([0.25, 0.5], { from: 0, to: 1 }),
      holes: wholeNumber(1, { from: 1, to: 100 }),
      fill: oneOf('mean', ['mean', 'black', 'white']),
    },
    main: 'size',
    probability: 0.5,
    effects({ size, holes, fill }, stream, picture) {
      const { width, height } = picture
      const effects: Effect[] = []
      for (let hole = 0; hole < holes; hole++) {
        const side = Math.round(between(size, stream) * Math.min(width, height))
        // The middle lies anywhere in the picture, so that no place is dropped more often than others (DeVries and Taylor 2017).
        const left = stream.integer(width) - Math.floor(side / 2)
        const top = stream.integer(height) - Math.floor(side / 2)
        const from = [Math.max(0, left), Math.max(0, top)] as const
        const inside = [Math.min(width, left + side) - from[0], Math.min(height, top + side) - from[1]] as const
        if (side > 0) effects.push({ change: ['fillBox', ...from, ...inside, ...colourOf(fill, picture)] })
      }
      return effects
    },
  }),
] as const
