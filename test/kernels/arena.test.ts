import { expect, test } from 'vitest'
import { createArena } from '../../src/kernels/arena.ts'

const limit = 1 << 24

test('memory is zero when it is handed out, the first time and after somebody used it', () => {
  const arena = createArena(limit, 1024)
  const view = (address: number, bytes: number) => new Uint8Array(arena.memory.buffer, address, bytes)
  const isZero = (address: number, bytes: number) => view(address, bytes).every((byte) => byte === 0)
  const first = arena.allocate(10_000, 'first')
  const second = arena.allocate(20_000, 'second')
  expect([isZero(first, 10_000), isZero(second, 20_000)]).toEqual([true, true])
  view(first, 10_000).fill(7)
  view(second, 20_000).fill(7)
  // A hole is used again, and then the end, of which a part was used before and a part was not.
  arena.free(first)
  const hole = arena.allocate(9_000, 'in the hole')
  expect(hole).toBe(first)
  arena.free(second)
  const end = arena.allocate(50_000, 'at the end')
  expect(end).toBeLessThanOrEqual(second)
  expect([isZero(hole, 9_000), isZero(end, 50_000)]).toEqual([true, true])
  view(end, 50_000).fill(7)
  arena.free(hole)
  arena.free(end)
  const all = arena.allocate(200_000, 'all of it')
  expect(isZero(all, 200_000)).toBe(true)
})
