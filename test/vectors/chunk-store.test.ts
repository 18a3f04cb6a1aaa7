import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChunks } from '../../src/vectors/chunk-store.ts'
import type { VectorBlock } from '../../src/vectors/vector-table.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const arrays = [
  { name: 'a', columns: 2 },
  { name: 'b', columns: 1 },
]
const plan = { model: 'm', layers: ['a', 'b'] }

function block(number: number): VectorBlock {
  return {
    rows: [
      { path: `\ud800${number}`, label: null, error: null },
      { path: '', label: 'x', error: 'bad' },
    ],
    values: [Float32Array.of(number, -0, Number.NaN, 1e-45), Float32Array.of(2, 3)],
  }
}

async function filled(count: number): Promise<string> {
  const folder = join(temporaryFolder(), 'work')
  const store = await openChunks(folder, arrays, plan, false)
  for (let number = 0; number < count; number++) await store.append(block(number))
  return folder
}

async function blocksOf(folder: string): Promise<VectorBlock[]> {
  const blocks: VectorBlock[] = []
  for await (const each of (await openChunks(folder, arrays, plan, true)).blocks()) blocks.push(each)
  return blocks
}

test('what was appended is there after a crash', async () => {
  const folder = await filled(3)
  expect(await blocksOf(folder)).toEqual([block(0), block(1), block(2)])
  expect(await openChunks(folder, arrays, plan, true)).toMatchObject({ rows: 6, failed: 3 })
})

test('a chunk in pieces is computed anew, and so is what follows it', async () => {
  const folder = await filled(3)
  const file = join(folder, 'chunk-00000001')
  const bytes = readFileSync(file)
  for (const length of [0, 1, 30, bytes.length - 1]) {
    truncateSync(file, length)
    expect(await openChunks(folder, arrays, plan, true)).toMatchObject({ rows: 2 })
    expect(readdirSync(folder).sort()).toEqual(['chunk-00000000', 'plan.json'])
    writeFileSync(file, bytes)
  }
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    writeFileSync(file, damaged)
    expect(await openChunks(folder, arrays, plan, true)).toMatchObject({ rows: 2 })
  }
})

test('a chunk that is damaged later is named', async () => {
  const folder = await filled(2)
  const store = await openChunks(folder, arrays, plan, true)
  truncateSync(join(folder, 'chunk-00000001'), 10)
  await expect(async () => {
    for await (const _ of store.blocks());
  }).rejects.toMatchObject({ code: 'data', message: expect.stringContaining('chunk-00000001 is damaged') })
})

test('another plan, or no wish to go on, is refused', async () => {
  const folder = await filled(1)
  const other = { ...plan, model: 'n' }
  await expect(openChunks(folder, arrays, other, true)).rejects.toThrow('model was "m" and is "n" now')
  await expect(openChunks(folder, arrays, plan, false)).rejects.toMatchObject({ code: 'usage' })
})
