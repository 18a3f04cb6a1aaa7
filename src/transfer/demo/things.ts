// The drawn things. Each has parts, proportions and a posture that vary; none has a colour, a size or a place of its own.
import { around, box, digits, ellipse, line, type Pen, path, polygon, ring } from './pen.ts'

/** Draws the SVG elements of one thing. */
export type Thing = (pen: Pen) => string

const aeroplane: Thing = ({ paints, between }) => {
  const span = between(36, 46)
  const sweep = between(14, 26)
  const girth = between(6, 9)
  const chord = between(14, 20)
  const tail = between(13, 18)
  const wing = (side: number) =>
    polygon(paints.accent, [
      [10, side * 3],
      [10 - chord, side * 3],
      [4 - chord - sweep / 2, side * span],
      [12 - chord - sweep / 4, side * span],
    ])
  const fin = (side: number) =>
    polygon(paints.accent, [
      [-30, side * 2],
      [-42, side * 2],
      [-48, side * tail],
      [-41, side * tail],
    ])
  return [
    wing(1),
    wing(-1),
    fin(1),
    fin(-1),
    path(
      paints.body,
      `M48,0 C48,${digits(-girth)} 30,${digits(-girth)} 20,${digits(-girth)} L-30,${digits(-girth * 0.7)} L-46,0 L-30,${digits(girth * 0.7)} L20,${digits(girth)} C30,${digits(girth)} 48,${digits(girth)} 48,0 Z`,
    ),
    ellipse(paints.dark, 35, 0, 4, girth * 0.55),
  ].join('')
}

const bird: Thing = ({ paints, line: width, between, chance }) => {
  const belly = between(15, 20)
  const head = between(10, 13)
  const neck = between(20, 28)
  const legs = between(12, 18)
  const tail = between(-16, 2)
  return [
    line(paints.dark, width * 0.7, [
      [-4, belly - 3],
      [-6, belly + legs],
      [2, belly + legs],
    ]),
    line(paints.dark, width * 0.7, [
      [6, belly - 3],
      [6, belly + legs],
      [14, belly + legs],
    ]),
    polygon(paints.accent, [
      [-16, -6],
      [-48, tail - 7],
      [-46, tail + 8],
      [-16, 10],
    ]),
    ellipse(paints.body, 0, 0, 27, belly),
    ellipse(paints.body, 23, -neck, head),
    polygon(paints.body, [
      [8, -belly * 0.8],
      [16, -neck - 4],
      [32, -neck + 6],
      [24, 4],
    ]),
    polygon(paints.dark, [
      [23 + head * 0.8, -neck - 4],
      [23 + head + between(10, 16), -neck + 1],
      [23 + head * 0.8, -neck + 5],
    ]),
    ellipse(paints.light, 26, -neck - 3, 3.4),
    ellipse(paints.dark, 26.6, -neck - 3, 1.8),
    path(
      paints.accent,
      chance(0.5)
        ? 'M10,-6 C4,14 -18,14 -32,4 C-20,0 -14,-10 10,-6 Z'
        : 'M8,-4 C0,-20 -14,-38 -30,-42 C-30,-22 -22,4 -4,6 Z',
    ),
  ].join('')
}

const boat: Thing = ({ paints, line: width, between, chance }) => {
  const deck = between(14, 20)
  const keel = between(32, 38)
  const mast = between(-4, 6)
  const top = between(-48, -42)
  const aft = between(24, 34)
  return [
    line(paints.dark, width, [
      [mast, deck],
      [mast, top],
    ]),
    polygon(paints.accent, [
      [mast + 3, top + 3],
      [mast + aft, deck - 6],
      [mast + 3, deck - 6],
    ]),
    chance(0.8)
      ? polygon(paints.light, [
          [mast - 3, top + between(6, 14)],
          [mast - 3, deck - 6],
          [mast - between(22, 30), deck - 6],
        ])
      : '',
    polygon(paints.body, [
      [-46, deck],
      [47, deck],
      [between(30, 36), keel],
      [-between(30, 36), keel],
    ]),
    line(paints.dark, 2.5, [
      [-42, deck + 6],
      [43, deck + 6],
    ]),
  ].join('')
}

const bicycle: Thing = ({ paints, line: width, between }) => {
  const radius = between(18, 22)
  const reach = 48 - radius
  const hub = between(8, 12)
  const seat = between(-20, -14)
  const tyre = width * 0.95
  const bar = width * 0.9
  return [
    ring(paints.accent, tyre, -reach, hub, radius),
    ring(paints.accent, tyre, reach, hub, radius),
    line(paints.body, bar, [
      [-reach, hub],
      [-2, hub + 2],
      [-10, seat + 4],
      [-reach, hub],
    ]),
    line(paints.body, bar, [
      [-10, seat + 6],
      [18, seat + 2],
      [-2, hub + 2],
    ]),
    line(paints.body, bar, [
      [reach, hub],
      [16, seat - 8],
      [between(22, 28), seat - 14],
    ]),
    line(paints.body, bar, [
      [-10, seat + 6],
      [-13, seat - 4],
    ]),
    line(paints.accent, bar * 1.5, [
      [-22, seat - 5],
      [-5, seat - 5],
    ]),
    ellipse(paints.accent, -2, hub + 2, 5),
  ].join('')
}

const car: Thing = ({ paints, between }) => {
  const roof = between(-24, -16)
  const rear = between(-34, -22)
  const front = between(8, 18)
  const wheel = between(9.5, 12.5)
  const sill = 17
  return [
    polygon(paints.accent, [
      [rear - 10, 0],
      [rear, roof],
      [front, roof],
      [front + 14, 0],
    ]),
    polygon(paints.light, [
      [rear - 3, -2],
      [rear + 4, roof + 5],
      [-8, roof + 5],
      [-8, -2],
    ]),
    polygon(paints.light, [
      [-4, -2],
      [-4, roof + 5],
      [front - 3, roof + 5],
      [front + 6, -2],
    ]),
    box(paints.body, -47, -3, 47, sill, 6),
    ...[-27, 27].flatMap((x) => [ellipse(paints.dark, x, sill, wheel), ellipse(paints.light, x, sill, wheel * 0.4)]),
    box(paints.light, 41, 2, 47, 7),
  ].join('')
}

const cat: Thing = ({ paints, line: width, between }) => {
  const face = between(16, 19)
  const ears = between(14, 18)
  const hip = between(19, 24)
  const head = -20
  const ear = (side: number) =>
    polygon(paints.body, [
      [side * face * 0.95, head - 4],
      [side * face * 0.85, head - face * 0.5 - ears],
      [side * 3, head - face * 0.8],
    ])
  const eye = (side: number) =>
    ellipse(paints.light, side * 7, head - 2, 4.2, 3.2) + ellipse(paints.dark, side * 7, head - 2, 1.6, 3)
  const whiskers = (side: number) =>
    [head + 5, head + 9]
      .map((y) =>
        line(paints.dark, 1.4, [
          [side * 6, y],
          [side * (face + 9), y + between(-3, 3)],
        ]),
      )
      .join('')
  return [
    `<path d="M${digits(hip * 0.7)},38 C${digits(hip + 22)},40 ${digits(hip + 18)},14 ${digits(hip + 10)},${digits(between(-4, 8))}" fill="none" stroke="${paints.accent}" stroke-width="${digits(width * 1.4)}" stroke-linecap="round"/>`,
    path(
      paints.body,
      `M-9,-12 C-14,0 ${digits(-hip)},14 ${digits(-hip)},44 L${digits(hip)},44 C${digits(hip)},14 14,0 9,-12 Z`,
    ),
    ellipse(paints.accent, 0, 26, 8, 14),
    ear(1),
    ear(-1),
    ellipse(paints.body, 0, head, face, face * 0.86),
    eye(1),
    eye(-1),
    polygon(paints.dark, [
      [-3, head + 4],
      [3, head + 4],
      [0, head + 7.5],
    ]),
    whiskers(1),
    whiskers(-1),
    line(paints.dark, 2, [
      [0, 30],
      [0, 44],
    ]),
  ].join('')
}

const cup: Thing = ({ paints, line: width, between, chance }) => {
  const rim = between(24, 30)
  const foot = rim * between(0.65, 0.95)
  const top = between(-36, -26)
  const handle = between(11, 15)
  return [
    ring(paints.body, width * 1.5, rim + 2, 0, handle, between(13, 18)),
    path(
      paints.body,
      `M${digits(-rim)},${digits(top)} L${digits(rim)},${digits(top)} L${digits(foot)},34 Q0,42 ${digits(-foot)},34 Z`,
    ),
    ellipse(paints.accent, 0, top, rim, 7),
    ellipse(paints.dark, 0, top + 1, rim * 0.84, 5),
    chance(0.6)
      ? polygon(paints.accent, [
          [-rim * 0.93, top + 20],
          [rim * 0.93, top + 20],
          [rim * 0.86, top + 32],
          [-rim * 0.86, top + 32],
        ])
      : '',
  ].join('')
}

const fish: Thing = ({ paints, between, chance }) => {
  const belly = between(16, 24)
  const tail = between(15, 22)
  const fin = between(10, 16)
  return [
    polygon(paints.accent, [
      [-22, 0],
      [-48, -tail],
      [-40, 0],
      [-48, tail],
    ]),
    polygon(paints.accent, [
      [-12, -belly * 0.8],
      [-6, -belly - fin],
      [20, -belly * 0.7],
    ]),
    polygon(paints.accent, [
      [-6, belly * 0.8],
      [-10, belly + fin * 0.7],
      [8, belly * 0.85],
    ]),
    path(
      paints.body,
      `M-30,0 C-14,${digits(-belly * 1.4)} 30,${digits(-belly * 1.4)} 46,0 C30,${digits(belly * 1.4)} -14,${digits(belly * 1.4)} -30,0 Z`,
    ),
    ...(chance(0.5)
      ? [-8, 4].map((x) =>
          line(paints.accent, 4, [
            [x, -belly * 0.75],
            [x + 3, 0],
            [x, belly * 0.75],
          ]),
        )
      : [
          line(paints.dark, 2, [
            [16, -belly * 0.7],
            [12, 0],
            [16, belly * 0.7],
          ]),
        ]),
    ellipse(paints.light, 30, -4, 5),
    ellipse(paints.dark, 31, -4, 2.6),
    line(paints.dark, 2, [
      [45, 2],
      [36, 6],
    ]),
  ].join('')
}

const house: Thing = ({ paints, between, chance }) => {
  const wall = between(30, 38)
  const eaves = between(-12, -2)
  const ridge = between(-46, -38)
  const over = between(5, 9)
  const door = between(-14, 6)
  const chimney = chance(0.5) ? -wall * 0.55 : wall * 0.55
  return [
    chance(0.75) ? box(paints.dark, chimney - 5, ridge + 4, chimney + 5, eaves) : '',
    box(paints.body, -wall, eaves - 1, wall, 42),
    polygon(paints.accent, [
      [-wall - over, eaves],
      [-between(0, 8), ridge],
      [between(0, 8), ridge],
      [wall + over, eaves],
    ]),
    line(paints.dark, 2, [
      [-wall - over, eaves],
      [wall + over, eaves],
    ]),
    box(paints.dark, door, 14, door + 13, 42),
    ...[-wall + 5, wall - 16]
      .filter((x) => x + 13 < door || x > door + 14)
      .map((x) => box(paints.light, x, eaves + 9, x + 11, eaves + 21)),
  ].join('')
}

const tree: Thing = ({ paints, between, chance }) => {
  const trunk = between(4, 6.5)
  const stem = box(paints.dark, -trunk, 8, trunk, 47)
  if (chance(0.4)) {
    const wide = between(26, 34)
    return [
      stem,
      ...[0, 1, 2].map((layer) => {
        const bottom = 28 - 19 * layer
        const half = wide * (1 - 0.24 * layer)
        return polygon(layer === 1 ? paints.accent : paints.body, [
          [-half, bottom],
          [0, bottom - 34],
          [half, bottom],
        ])
      }),
    ].join('')
  }
  const crown = between(17, 20)
  const leaves = Array.from({ length: 6 }, (_, index) => {
    const [x, y] = around(0, -14, between(14, 19), index * 60 + between(0, 30))
    return ellipse(index % 2 === 0 ? paints.body : paints.accent, x, y, crown * between(0.75, 1))
  })
  return [
    stem,
    line(paints.dark, trunk * 0.8, [
      [0, 20],
      [between(10, 16), 0],
    ]),
    ...leaves,
    ellipse(paints.body, 0, -14, crown),
  ].join('')
}

/** All things that can be drawn. */
export const allThings = { aeroplane, bicycle, bird, boat, car, cat, cup, fish, house, tree } satisfies Readonly<
  Record<string, Thing>
>
export type ThingName = keyof typeof allThings
