// One picture as SVG: a ground, a thing somewhere on it, and light from one side.
import { type RandomStream, randomStream } from '../../random.ts'
import { anyColour, newPalette } from './colour.ts'
import { difficulty } from './difficulty.ts'
import { box, digits, ellipse, line, newPen, polygon } from './pen.ts'
import type { Thing } from './things.ts'

/** Which picture: the same address gives the same picture. */
export interface PictureAddress {
  readonly seed: number
  readonly sample: number
}

/** The SVG of one picture, `difficulty.side` pixels wide and high. */
export function scene(thing: Thing, { seed, sample }: PictureAddress): string {
  const draws = (purpose: string) => randomStream({ seed, sample, purpose: `demo:${purpose}` })
  const palette = newPalette(draws('colour'))
  const side = difficulty.side
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" viewBox="0 0 100 100">`,
    ground(draws('ground'), palette.ground),
    `<g transform="${pose(draws('pose'))}" stroke-linejoin="round">${thing(newPen(draws('thing'), palette.thing))}</g>`,
    shade(draws('shade')),
    '</svg>',
  ].join('')
}

/** Size, place, mirroring, turning and shearing. */
function pose(random: RandomStream): string {
  const between = (low: number, high: number) => low + (high - low) * random.uniform()
  const size = between(...difficulty.size)
  const room = (100 * (1 - size) * difficulty.shift) / 2
  const mirror = random.uniform() < 0.5 ? -1 : 1
  const stretch = 1 + between(-difficulty.stretch, difficulty.stretch)
  return [
    `translate(${digits(50 + between(-room, room))} ${digits(50 + between(-room, room))})`,
    `rotate(${digits(between(-difficulty.turn, difficulty.turn))})`,
    `matrix(1 0 ${digits(between(-difficulty.shear, difficulty.shear))} 1 0 0)`,
    `scale(${digits(mirror * size * Math.min(1, stretch))} ${digits(size * Math.min(1, 1 / stretch))})`,
  ].join(' ')
}

function ground(random: RandomStream, lightness: number): string {
  const between = (low: number, high: number) => low + (high - low) * random.uniform()
  const colour = () =>
    anyColour(
      random,
      Math.min(0.97, Math.max(0.03, lightness + between(-difficulty.groundSpread, difficulty.groundSpread))),
    )
  const whole = box(colour(), 0, 0, 100, 100)
  const kinds = [
    () => whole,
    () => {
      const degrees = digits(between(0, 360))
      return `<linearGradient id="ground" gradientTransform="rotate(${degrees} 0.5 0.5)"><stop stop-color="${colour()}"/><stop offset="1" stop-color="${colour()}"/></linearGradient>${box('url(#ground)', 0, 0, 100, 100)}`
    },
    () => {
      const step = between(7, 20)
      const spot =
        random.uniform() < 0.5
          ? ellipse(colour(), step / 2, step / 2, step * between(0.2, 0.4))
          : box(colour(), 0, 0, step, step * between(0.3, 0.6))
      return `${whole}<pattern id="ground" width="${digits(step)}" height="${digits(step)}" patternUnits="userSpaceOnUse" patternTransform="rotate(${digits(between(0, 180))})">${spot}</pattern>${box('url(#ground)', 0, 0, 100, 100)}`
    },
    () =>
      whole +
      Array.from({ length: 3 + random.integer(difficulty.clutter) }, () => clutter(random, between, colour())).join(''),
    // Two halves, as ground and sky.
    () => {
      const left = between(25, 75)
      return (
        whole +
        polygon(colour(), [
          [-1, left],
          [101, 100 - left + between(-20, 20)],
          [101, 101],
          [-1, 101],
        ])
      )
    },
  ]
  return (kinds[random.integer(kinds.length)] ?? (() => whole))()
}

function clutter(random: RandomStream, between: (low: number, high: number) => number, colour: string): string {
  const [x, y] = [between(0, 100), between(0, 100)]
  const near = (): [number, number] => [x + between(-25, 25), y + between(-25, 25)]
  const kind = random.integer(3)
  if (kind === 0) return line(colour, between(2, 7), [[x, y], near(), near()])
  return kind === 1 ? ellipse(colour, x, y, between(4, 15), between(4, 15)) : polygon(colour, [[x, y], near(), near()])
}

/** Light from one side: the other is darker. */
function shade(random: RandomStream): string {
  const dark = digits(difficulty.shade * random.uniform())
  const degrees = digits(360 * random.uniform())
  return `<linearGradient id="shade" gradientTransform="rotate(${degrees} 0.5 0.5)"><stop stop-opacity="0"/><stop offset="1" stop-opacity="${dark}"/></linearGradient>${box('url(#shade)', 0, 0, 100, 100)}`
}
