import * as path from 'node:path'
import { RegraftError } from '../errors.ts'
import { writeFileAtomic } from '../files/atomic-write.ts'
import { createFolder, listFolder, pathFacts, removeFile, removeFolder } from '../files/folder.ts'
import { readFileLimited } from '../files/read-file.ts'
import { type JsonObject, readJson, writeJson } from '../files/strict-json.ts'
import { inertName } from '../inert-text.ts'
import { damagedChunk, decodeChunk, encodeChunk } from './chunk-file.ts'
import type { VectorArray, VectorBlock, VectorRow, VectorTable } from './vector-table.ts'

/** Vectors in the making: files that are only added to, so that a crash costs the one that was being written. */
export interface ChunkStore extends VectorTable {
  /** Rows that could not be computed. */
  readonly failed: number
  /** Adds rows for good. */
  append(block: VectorBlock): Promise<void>
  /** The rows alone, without their vectors. */
  index(): AsyncIterable<readonly VectorRow[]>
  remove(): Promise<void>
}

const planName = 'plan.json'
const chunkName = /^chunk-(\d{8})$/
const maxChunkBytes = 2 ** 31

/**
 * Opens the folder of a store, new or to be gone on with.
 * @param plan  what the vectors depend on; a store is gone on with under the same plan only
 * @throws RegraftError 'usage' when there is a store and it may not be gone on with, or its plan is another
 */
export async function openChunks(
  folder: string,
  arrays: readonly VectorArray[],
  plan: JsonObject,
  resume: boolean,
): Promise<ChunkStore> {
  const columns = arrays.map((array) => array.columns)
  const fileOf = (number: number) => path.join(folder, `chunk-${String(number).padStart(8, '0')}`)
  const read = async (number: number) =>
    decodeChunk(await readFileLimited(fileOf(number), maxChunkBytes, { code: 'data' }), columns)
  let count = 0
  let rows = 0
  let failed = 0
  const planFile = path.join(folder, planName)
  if ((await pathFacts(planFile)) !== undefined) {
    if (!resume) throw new RegraftError('usage', `${inertName(folder)} holds unfinished work.`, { file: folder })
    const before = await readJson(planFile, { code: 'data' })
    const difference = firstDifference(before, plan)
    if (difference !== undefined) {
      throw new RegraftError(
        'usage',
        `${inertName(folder)} cannot be gone on with: ${difference}. Say the same as before, or begin anew in another folder.`,
        { file: folder },
      )
    }
    const present = new Set((await listFolder(folder)).map(({ name }) => name))
    while (present.has(path.basename(fileOf(count)))) {
      const chunk = await read(count)
      // A crash may leave the last one in pieces; what comes behind a gap belongs nowhere.
      if (chunk === undefined) break
      rows += chunk.rows.length
      failed += chunk.rows.filter(({ error }) => error !== null).length
      count += 1
    }
    for (const name of present) {
      const number = chunkName.exec(name)?.[1]
      if (number !== undefined && Number(number) >= count) await removeFile(path.join(folder, name))
    }
  } else {
    await createFolder(folder)
    await writeJson(planFile, plan)
  }

  async function* blocks(): AsyncGenerator<VectorBlock, void, undefined> {
    for (let number = 0; number < count; number++) {
      const block = await read(number)
      if (block === undefined) throw damagedChunk(fileOf(number))
      yield block
    }
  }
  return {
    arrays,
    get rows() {
      return rows
    },
    get failed() {
      return failed
    },
    async append(block) {
      await writeFileAtomic(fileOf(count), encodeChunk(block))
      count += 1
      rows += block.rows.length
      failed += block.rows.filter(({ error }) => error !== null).length
    },
    blocks,
    async *index() {
      for await (const block of blocks()) yield block.rows
    },
    remove: () => removeFolder(folder),
  }
}

/** Whether a folder holds a store. */
export async function holdsChunks(folder: string): Promise<boolean> {
  return (await pathFacts(path.join(folder, planName))) !== undefined
}

function firstDifference(before: unknown, now: JsonObject): string | undefined {
  const former = new Map(Object.entries(Object(before)))
  for (const key of new Set([...former.keys(), ...Object.keys(now)])) {
    const [a, b] = [former.get(key), now[key]].map((value) => JSON.stringify(value) ?? 'nothing')
    if (a !== b) return `${key} was ${inertName(a ?? '', 200)} and is ${inertName(b ?? '', 200)} now`
  }
  return undefined
}
