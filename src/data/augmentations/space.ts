// Where things are in the picture: crops, flips, turns, shifts, sizes, slants, and warps.

import { between } from './between.ts'
import { range } from './fields.ts'
import { defineKind } from './kind.ts'
import { rotation, scaling, shearing, tangent, translation } from './matrix.ts'
import { fillField, outsideOf } from './outside.ts'
import { randomResizedCrop as drawBox } from './random-resized-crop.ts'

export const space = [
  defineKind({
    name: 'randomResizedCrop',
    help: "a box of random area and aspect, resized to the network's size",
    fields: {
      scale: range([0.08, 1], { from: 0.001, to: 1 }),
      ratio: range([3 / 4, 4 / 3], { from: 0.01, to: 100 }),
    },
    main: 'scale',
    probability: 1,
    purpose: 'crop',
    first: true,
    effects: (options, stream, { imageWidth, imageHeight }) => [
      { frame: drawBox(imageWidth, imageHeight, options, stream) },
    ],
  }),
  defineKind({
    name: 'horizontalFlip',
    help: 'mirrored left to right',
    alsoKnownAs: ['randomHorizontalFlip', 'hflip', 'fliplr'],
    fields: {},
    probability: 0.5,
    purpose: 'flip',
    effects: () => [{ mirror: true }],
  }),
  defineKind({
    name: 'verticalFlip',
    help: 'mirrored top to bottom',
    alsoKnownAs: ['randomVerticalFlip', 'vflip', 'flipud'],
    fields: {},
    probability: 0.5,
    effects: () => [{ change: ['flipVertically'] }],
  }),
  defineKind({
    name: 'rotate',
    help: 'turned counter-clockwise about the middle',
    alsoKnownAs: ['randomRotation', 'rotation', 'affine', 'randomAffine', 'shiftScaleRotate'],
    fields: { degrees: range([-15, 15], { from: -360, to: 360, around: 0 }), fill: fillField },
    main: 'degrees',
    probability: 1,
    effects: ({ degrees, fill }, stream, picture) => [
      { warp: rotation(between(degrees, stream)), outside: outsideOf(fill, picture) },
    ],
  }),
  defineKind({
    name: 'translate',
    help: 'moved, by parts of width and height',
    alsoKnownAs: ['randomTranslate', 'shift'],
    fields: {
      x: range([-0.1, 0.1], { from: -1, to: 1, around: 0 }),
      y: range([-0.1, 0.1], { from: -1, to: 1, around: 0 }),
      fill: fillField,
    },
    probability: 1,
    effects: ({ x, y, fill }, stream, picture) => [
      {
        warp: translation(between(x, stream) * picture.width, between(y, stream) * picture.height),
        outside: outsideOf(fill, picture),
      },
    ],
  }),
  defineKind({
    name: 'scale',
    help: 'larger (above 1) or smaller about the middle',
    alsoKnownAs: ['randomScale', 'zoom'],
    fields: { factor: range([0.9, 1.1], { from: 0.05, to: 20, around: 1 }), fill: fillField },
    main: 'factor',
    probability: 1,
    effects: ({ factor, fill }, stream, picture) => [
      { warp: scaling(between(factor, stream)), outside: outsideOf(fill, picture) },
    ],
  }),
  defineKind({
    name: 'shear',
    help: 'slanted: rows moved by x degrees, columns by y',
    alsoKnownAs: ['randomShear', 'skew'],
    fields: {
      x: range([-10, 10], { from: -75, to: 75, around: 0 }),
      y: range([0, 0], { from: -75, to: 75, around: 0 }),
      fill: fillField,
    },
    main: 'x',
    probability: 1,
    effects: ({ x, y, fill }, stream, picture) => [
      {
        warp: shearing(tangent(between(x, stream)), tangent(between(y, stream))),
        outside: outsideOf(fill, picture),
      },
    ],
  }),
  defineKind({
    name: 'elastic',
    help: 'each pixel pulled by alpha times noise smoothed over sigma pixels',
    alsoKnownAs: ['elasticTransform', 'distort'],
    fields: {
      alpha: range([50, 50], { from: 0, to: 10_000 }),
      sigma: range([5, 5], { from: 0.5, to: 64 }),
      fill: fillField,
    },
    main: 'alpha',
    probability: 1,
    effects({ alpha, sigma, fill }, stream, picture) {
      const strength = between(alpha, stream)
      const width = between(sigma, stream)
      const key = [stream.uint32(), stream.uint32()] as const
      return [{ change: ['elastic', strength, width, ...key, ...outsideOf(fill, picture)] }]
    },
  }),
] as const
