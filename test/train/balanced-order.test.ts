import { expect, test } from 'vitest'
import { balancedOrder } from '../../src/train/balanced-order.ts'

/** 20 of class 0, 5 of class 1, one of class 2. */
const labels = [...Array(20).fill(0), ...Array(5).fill(1), 2]
const classesOf = (order: Uint32Array) => [0, 1, 2].map((label) => order.filter((at) => labels[at] === label).length)

test('all classes come equally often, and what does not come out even goes round', () => {
  const extra = new Set<number>()
  for (let epoch = 1; epoch <= 12; epoch++) {
    const order = balancedOrder(labels, 3, epoch)
    expect(order).toHaveLength(26)
    const counts = classesOf(order)
    expect(counts.toSorted()).toEqual([8, 9, 9])
    extra.add(counts.indexOf(8))
  }
  expect(extra.size).toBe(3)
})

test('members of a class come as equally often as they can, and over the epochs all do', () => {
  const seen = new Set<number>()
  for (let epoch = 1; epoch <= 12; epoch++) {
    const order = balancedOrder(labels, 3, epoch)
    for (const at of order) seen.add(at)
    const large = order.filter((at) => at < 20)
    expect(new Set(large).size).toBe(large.length)
    const middle = [20, 21, 22, 23, 24].map((at) => order.filter((each) => each === at).length)
    expect(Math.max(...middle) - Math.min(...middle)).toBeLessThanOrEqual(1)
  }
  expect(seen.size).toBe(26)
})

test('the order is drawn from seed and epoch, and mixes the classes', () => {
  expect(balancedOrder(labels, 1, 1)).toEqual(balancedOrder(labels, 1, 1))
  expect(balancedOrder(labels, 1, 2)).not.toEqual(balancedOrder(labels, 1, 1))
  expect(balancedOrder(labels, 2, 1)).not.toEqual(balancedOrder(labels, 1, 1))
  const first = Array.from(balancedOrder(labels, 1, 1).slice(0, 13), (at) => labels[at])
  expect(new Set(first).size).toBe(3)
})
