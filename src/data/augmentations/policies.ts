// Augmentations that choose others. Operations and their strengths are torchvision's, with shifts as parts of the picture.
import type { RandomStream } from '../../random.ts'
import type { PictureAtHand } from './augmentation.ts'
import { between } from './between.ts'
import { dirichlet } from './dirichlet.ts'
import { flag, number, range, wholeNumber } from './fields.ts'
import { defineKind, type Effect, type Outside } from './kind.ts'
import { rotation, shearing, translation } from './matrix.ts'
import { fillField, outsideOf } from './outside.ts'

interface Scene {
  readonly picture: PictureAtHand
  readonly outside: Outside
}

/** Something to choose, with a strength from 0 to 1 or, where it goes both ways, from -1 to 1. */
interface Operation {
  readonly signed: boolean
  effects(strength: number, scene: Scene): readonly Effect[]
}

/** The largest strengths of a policy. */
interface Strengths {
  /** Sideways per row, or downwards per column. */
  readonly shear: number
  /** Part of width or height. */
  readonly translate: number
  readonly degrees: number
  /** How far factors of light and colour go from 1; undefined leaves them out. */
  readonly colour: number | undefined
  /** Bits that are kept at strength 0, and at 1. */
  readonly bits: readonly [number, number]
}

function operationsOf({ shear, translate, degrees, colour, bits }: Strengths): readonly Operation[] {
  const warp = (matrix: (strength: number, picture: PictureAtHand) => Extract<Effect, { warp: unknown }>['warp']) => ({
    signed: true,
    effects: (strength: number, { picture, outside }: Scene) => [{ warp: matrix(strength, picture), outside }],
  })
  const factor = (name: 'brightness' | 'contrast' | 'saturation' | 'sharpness', most: number) => ({
    signed: true,
    effects: (strength: number) => [{ change: [name, 1 + most * strength] as const }],
  })
  const plain = (name: 'autocontrast' | 'equalize') => ({ signed: false, effects: () => [{ change: [name] as const }] })
  return [
    { signed: false, effects: () => [] },
    warp((strength) => shearing(shear * strength, 0)),
    warp((strength) => shearing(0, shear * strength)),
    warp((strength, { width }) => translation(translate * strength * width, 0)),
    warp((strength, { height }) => translation(0, translate * strength * height)),
    warp((strength) => rotation(degrees * strength)),
    ...(colour === undefined
      ? []
      : (['brightness', 'saturation', 'contrast', 'sharpness'] as const).map((name) => factor(name, colour))),
    {
      signed: false,
      effects: (strength) => [
        { change: ['posterize', Math.max(1, Math.round(bits[0] + (bits[1] - bits[0]) * strength))] },
      ],
    },
    { signed: false, effects: (strength) => [{ change: ['solarize', 255 * (1 - strength)] }] },
    plain('autocontrast'),
    plain('equalize'),
  ]
}

/** One of the operations at a strength from 0 to 1, in one direction or the other. */
function chosen(
  operations: readonly Operation[],
  strength: number,
  stream: RandomStream,
  scene: Scene,
): readonly Effect[] {
  const operation = operations[stream.integer(operations.length)]
  const sign = stream.uniform() < 0.5 ? -1 : 1
  return operation?.effects(operation.signed ? sign * strength : strength, scene) ?? []
}

const randAugmentOperations = operationsOf({ shear: 0.3, translate: 150 / 331, degrees: 30, colour: 0.9, bits: [8, 4] })
const trivialOperations = operationsOf({ shear: 0.99, translate: 32 / 224, degrees: 135, colour: 0.99, bits: [8, 2] })
const augMixStrengths = { shear: 0.3, translate: 1 / 3, degrees: 30, colour: 0.9, bits: [4, 0] } as const
const augMixOperations = {
  all: operationsOf(augMixStrengths),
  // Without those that stand among the corruptions of ImageNet-C.
  few: operationsOf({ ...augMixStrengths, colour: undefined }),
}

export const policies = [
  defineKind({
    name: 'randAugment',
    help: 'so many operations, each chosen by chance, of a magnitude from 0 to 30',
    alsoKnownAs: ['rand-m9-n2'],
    fields: {
      numOps: wholeNumber(2, { from: 1, to: 10 }),
      magnitude: range([9, 9], { from: 0, to: 30 }),
      fill: fillField,
    },
    main: 'magnitude',
    probability: 1,
    effects({ numOps, magnitude, fill }, stream, picture) {
      const scene = { picture, outside: outsideOf(fill, picture) }
      return Array.from({ length: numOps }, () =>
        chosen(randAugmentOperations, between(magnitude, stream) / 30, stream, scene),
      ).flat()
    },
  }),
  defineKind({
    name: 'trivialAugment',
    help: 'one operation of any magnitude, both chosen by chance (TrivialAugmentWide)',
    alsoKnownAs: ['trivialAugmentWide'],
    fields: { fill: fillField },
    probability: 1,
    effects: ({ fill }, stream, picture) =>
      chosen(trivialOperations, stream.integer(31) / 30, stream, { picture, outside: outsideOf(fill, picture) }),
  }),
  defineKind({
    name: 'augMix',
    help: 'a mean of the picture and of chains of operations; alpha says how unequal their shares are',
    fields: {
      severity: wholeNumber(3, { from: 1, to: 10 }),
      mixtureWidth: wholeNumber(3, { from: 1, to: 10 }),
      chainDepth: wholeNumber(-1, { from: -1, to: 10 }),
      alpha: number(1, { from: 0.01, to: 1000 }),
      allOps: flag(true),
      fill: fillField,
    },
    main: 'severity',
    probability: 1,
    effects({ severity, mixtureWidth, chainDepth, alpha, allOps, fill }, stream, picture) {
      const scene = { picture, outside: outsideOf(fill, picture) }
      const operations = allOps ? augMixOperations.all : augMixOperations.few
      const [, share = 0] = dirichlet(2, alpha, stream)
      const effects: Effect[] = [{ change: ['mixStart'] }]
      for (const weight of dirichlet(mixtureWidth, alpha, stream)) {
        // Any number of operations from 1 to 3 where none is asked for.
        const depth = chainDepth > 0 ? chainDepth : 1 + stream.integer(3)
        effects.push({ change: ['mixRestart'] })
        for (let at = 0; at < depth; at++)
          effects.push(...chosen(operations, stream.integer(severity) / 9, stream, scene))
        effects.push({ change: ['mixAdd', weight] })
      }
      return [...effects, { change: ['mixFinish', share] }]
    },
  }),
] as const
