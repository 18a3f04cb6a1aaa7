import { expect, test } from 'vitest'
import { oneAhead } from '../../src/data/one-ahead.ts'

const soon = () => new Promise((resolve) => setTimeout(resolve, 5))

test('gives the same things in order, the next one being made while one is used', async () => {
  const made: number[] = []
  async function* numbers() {
    for (let number = 0; number < 4; number++) {
      made.push(number)
      yield number
    }
  }
  const seen: (readonly [number, number])[] = []
  for await (const number of oneAhead(numbers())) {
    await soon()
    seen.push([number, made.length])
  }
  expect(seen).toEqual([
    [0, 2],
    [1, 3],
    [2, 4],
    [3, 4],
  ])
})

test('an error comes after what was made before it', async () => {
  async function* failing() {
    yield 1
    throw new Error('no second')
  }
  const seen: number[] = []
  await expect(
    (async () => {
      for await (const number of oneAhead(failing())) {
        await soon()
        seen.push(number)
      }
    })(),
  ).rejects.toThrow('no second')
  expect(seen).toEqual([1])
})

test('ended early it ends the source, and does not wait for what never comes', async () => {
  let ended = false
  async function* endless() {
    try {
      for (;;) yield 1
    } finally {
      ended = true
    }
  }
  for await (const _ of oneAhead(endless())) {
    await soon()
    break
  }
  expect(ended).toBe(true)
  async function* silent() {
    yield 1
    await new Promise(() => undefined)
  }
  for await (const _ of oneAhead(silent())) break
})
