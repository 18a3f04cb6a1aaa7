import { expect, test } from 'vitest'
import { pathLines } from '../../src/data/path-lines.ts'

async function read(pieces: readonly (Uint8Array | string)[], separator: 'newline' | 'null') {
  async function* source() {
    yield* pieces
  }
  const lines: [string, number][] = []
  for await (const { path, line } of pathLines(source(), separator)) lines.push([path, line])
  return lines
}

test('paths end with a line end, Windows’ too, wherever the pieces are cut', async () => {
  const bytes = Buffer.from('\ufeffa b.jpg\r\n\n  \n ü.jpg\nlast')
  const expected = [
    ['a b.jpg', 1],
    [' ü.jpg', 4],
    ['last', 5],
  ]
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(await read([bytes.subarray(0, cut), bytes.subarray(cut)], 'newline')).toEqual(expected)
  }
})

test('between NUL bytes a name may hold anything', async () => {
  expect(await read([Buffer.from('a\nb\0 \0\0\xff.jpg\0', 'latin1')], 'null')).toEqual([
    ['a\nb', 1],
    [' ', 2],
    ['\udcff.jpg', 4],
  ])
})

test('a line without end is no path', async () => {
  await expect(read([Buffer.alloc(70_000, 65)], 'newline')).rejects.toThrow(/line 1 has more than 65536 bytes/)
})
