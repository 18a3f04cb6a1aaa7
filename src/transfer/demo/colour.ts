// Colours of a picture: any hue for anything, only the lightness is kept apart so that the thing can be seen.
import type { RandomStream } from '../../random.ts'
import { difficulty } from './difficulty.ts'
import type { Paints } from './pen.ts'

export interface Palette {
  readonly thing: Paints
  /** Lightness of all that is behind the thing, 0…1. */
  readonly ground: number
}

/** Hue and saturation are free and say nothing; lightness of thing and ground differ by at least `difficulty.contrast`. */
export function newPalette(random: RandomStream): Palette {
  const lightThing = random.uniform() < 0.5
  const near = 0.12 + 0.23 * random.uniform()
  const far = Math.min(0.92, near + difficulty.contrast + (0.9 - near - difficulty.contrast) * random.uniform())
  const thing = lightThing ? far : near
  const second = thing + (lightThing ? -0.12 : 0.12) * random.uniform()
  return {
    thing: {
      body: anyColour(random, thing),
      accent: anyColour(random, second),
      dark: anyColour(random, lightThing ? 0.15 : 0.05),
      light: anyColour(random, lightThing ? 0.97 : 0.85),
    },
    ground: lightThing ? near : far,
  }
}

/** A colour of random hue and saturation. @param lightness 0…1 */
export function anyColour(random: RandomStream, lightness: number): string {
  return hexColour(360 * random.uniform(), 0.1 + 0.75 * random.uniform(), lightness)
}

/** @param hue degrees @param saturation 0…1 @param lightness 0…1; both are of HSL, with luma in the place of its lightness */
export function hexColour(hue: number, saturation: number, lightness: number): string {
  const share = (offset: number): number => {
    const at = (((hue + offset) % 360) + 360) % 360
    return Math.min(1, Math.max(0, Math.abs(at / 60 - 3) - 1))
  }
  const pure = [share(0), share(240), share(120)] as const
  // Pure yellow is far lighter than pure blue: colours are mixed until their luma is what was asked for.
  const luma = 0.299 * pure[0] + 0.587 * pure[1] + 0.114 * pure[2]
  const channels = pure.map((channel) => {
    const tinted =
      luma >= lightness ? channel * (lightness / luma) : channel + (1 - channel) * ((lightness - luma) / (1 - luma))
    return Math.round(255 * (lightness + saturation * (tinted - lightness)))
  })
  return `#${channels.map((value) => Math.min(255, Math.max(0, value)).toString(16).padStart(2, '0')).join('')}`
}
