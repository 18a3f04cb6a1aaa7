import { expect, test } from 'vitest'
import { copyStrided } from '../../src/formats/strided.ts'

test.each([1, 2, 4, 8])('elements of %d bytes are turned round, wherever their bytes begin', async (size) => {
  // [2, 3, 4] as [4, 2, 3], from the third element on.
  const count = 3 + 24
  for (const offset of [0, 1, 4]) {
    const place = new Uint8Array(offset + count * size)
    const bytes = place.subarray(offset)
    for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 37) % 251
    const view = { offset: 3, shape: [4, 2, 3], strides: [1, 12, 4] }
    const expected: number[] = []
    for (let c = 0; c < 4; c++)
      for (let a = 0; a < 2; a++)
        for (let b = 0; b < 3; b++) {
          const from = (3 + c + 12 * a + 4 * b) * size
          expected.push(...bytes.subarray(from, from + size))
        }
    expect([...(await copyStrided(bytes, size, view))]).toEqual(expected)
    expect([...(await copyStrided(Buffer.from(place.buffer, offset), size, view))]).toEqual(expected)
  }
})
