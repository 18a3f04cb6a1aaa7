import { expect, test } from 'vitest'
import { descend, rates, type Surface, saddle, valley } from './optimisers.ts'

/** The first step at which something holds; one more than there are when it never does. */
async function firstStep({ ...surface }: Surface, holds: (height: number) => boolean) {
  const ways = await descend(surface)
  return (name: string) => {
    const way = ways.get(name) ?? []
    const step = way.findIndex((point) => holds(surface.height(point)))
    return step < 0 ? way.length : step
  }
}

test('along a valley momentum is there before plain gradient descent', async () => {
  const arrives = await firstStep(valley, (height) => height < 0.01)
  for (const name of ['momentum', 'nesterov']) expect(arrives(name)).toBeLessThan(0.8 * arrives('sgd'))
  // Looking ahead swings less to the other side.
  const ways = await descend(valley)
  const swing = (name: string) => Math.min(...(ways.get(name) ?? []).map(([, y]) => y))
  expect(swing('momentum')).toBeLessThan(swing('nesterov'))
  for (const name of Object.keys(rates)) expect(arrives(name), name).toBeGreaterThan(1)
})

test('a saddle holds plain gradient descent longest, and those that scale by the gradient shortest', async () => {
  const leaves = await firstStep(saddle, (height) => height < -1)
  for (const name of ['momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam'])
    expect(leaves(name), name).toBeLessThan(leaves('sgd'))
  for (const name of ['adagrad', 'rmsprop', 'adam']) expect(leaves(name), name).toBeLessThan(leaves('momentum'))
})
