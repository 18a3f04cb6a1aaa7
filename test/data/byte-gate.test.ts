import { expect, test } from 'vitest'
import { byteGate } from '../../src/data/byte-gate.ts'

test('what fits goes at the same time, the rest waits its turn, and too large goes alone', async () => {
  const gate = byteGate(100)
  let now = 0
  let most = 0
  const order: number[] = []
  const work = (id: number, bytes: number) =>
    gate.pass(bytes, async () => {
      order.push(id)
      now += bytes
      most = Math.max(most, Math.min(now, 1000))
      if (bytes > 100) expect(now).toBe(bytes)
      await new Promise((resolve) => setTimeout(resolve, 2))
      now -= bytes
      return id
    })
  const ids = [60, 30, 50, 500, 10, 100, 1].map((bytes, id) => work(id, bytes))
  expect(await Promise.all(ids)).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(most).toBe(500)
})

test('work that fails gives its place back', async () => {
  const gate = byteGate(10)
  await expect(gate.pass(10, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await gate.pass(10, async () => 1)).toBe(1)
})
