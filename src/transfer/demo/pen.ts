// What a drawing is made with: random numbers, the paints of one picture, and SVG elements.
import { cos, sin } from '../../exact-math.ts'
import type { RandomStream } from '../../random.ts'

/** The paints of the thing in one picture, as #rrggbb. */
export interface Paints {
  readonly body: string
  /** A second large part. */
  readonly accent: string
  /** Small parts: wheels, eyes, windows. */
  readonly dark: string
  readonly light: string
}

/** Draws one thing with some freedom; everything is in a square from -50 to 50, x to the right and y down. */
export interface Pen {
  readonly paints: Paints
  /** Width of lines that are parts of their own: masts, legs, spokes. */
  readonly line: number
  between(low: number, high: number): number
  chance(probability: number): boolean
}

export function newPen(random: RandomStream, paints: Paints): Pen {
  const between = (low: number, high: number) => low + (high - low) * random.uniform()
  return { paints, line: between(3.5, 6), between, chance: (probability) => random.uniform() < probability }
}

type Point = readonly [x: number, y: number]

/** Two decimals are finer than any pixel here, and read the same everywhere. */
export const digits = (value: number): string => String(Math.round(value * 100) / 100)

const listed = (points: readonly Point[]): string => points.map(([x, y]) => `${digits(x)},${digits(y)}`).join(' ')

export const polygon = (fill: string, points: readonly Point[]): string =>
  `<polygon points="${listed(points)}" fill="${fill}"/>`

export const line = (colour: string, width: number, points: readonly Point[]): string =>
  `<polyline points="${listed(points)}" fill="none" stroke="${colour}" stroke-width="${digits(width)}"/>`

export const ellipse = (fill: string, x: number, y: number, radiusX: number, radiusY = radiusX): string =>
  `<ellipse cx="${digits(x)}" cy="${digits(y)}" rx="${digits(radiusX)}" ry="${digits(radiusY)}" fill="${fill}"/>`

export const ring = (colour: string, width: number, x: number, y: number, radiusX: number, radiusY = radiusX): string =>
  `<ellipse cx="${digits(x)}" cy="${digits(y)}" rx="${digits(radiusX)}" ry="${digits(radiusY)}" fill="none" stroke="${colour}" stroke-width="${digits(width)}"/>`

/** A rectangle by its left, top, right and bottom. */
export const box = (fill: string, left: number, top: number, right: number, bottom: number, corner = 0): string =>
  `<rect x="${digits(left)}" y="${digits(top)}" width="${digits(right - left)}" height="${digits(bottom - top)}" rx="${digits(corner)}" fill="${fill}"/>`

/** A path; its numbers are written as given. */
export const path = (fill: string, commands: string): string => `<path d="${commands}" fill="${fill}"/>`

/** The point at an angle (degrees, clockwise from the right) and a distance from a centre. */
export function around(x: number, y: number, radius: number, degrees: number): Point {
  const angle = (degrees / 180) * Math.PI
  return [x + radius * cos(angle), y + radius * sin(angle)]
}
