import { dirname, join, resolve } from 'node:path'
import { RegraftError } from '../errors.ts'
import { compareCodePoints } from '../files/folder.ts'
import { lookAt } from './disk.ts'
import { listedPaths } from './list-file.ts'
import { extensionOf, walkFiles } from './walk-files.ts'

/** One picture to predict or embed: a row of the output, also when it cannot be read. */
export interface InputImage {
  /** As given, or the folder as given and what follows in it. */
  readonly path: string
  /** Absolute. */
  readonly file: string
  /** The first folder below the given folder, if there is one: its class, in a folder per class. */
  readonly label?: string
  /** Why there is no picture, when that is known already. */
  readonly error?: string
}

/** Endings of files that are lists of paths, one a line, relative to the working directory or else to the list. */
const listExtensions: ReadonlySet<string> = new Set(['txt', 'lst', 'list'])

/**
 * The pictures that files, folders and lists of paths stand for, in the order given, those of a folder by code point.
 * What is missing or no picture becomes an entry with an error; in folders only what is named as a picture counts.
 */
export async function expandInputs(inputs: readonly string[], signal?: AbortSignal): Promise<InputImage[]> {
  const images: InputImage[] = []
  for (const input of inputs) {
    const file = resolve(input)
    if (listExtensions.has(extensionOf(input)) && (await isFile(file)))
      images.push(...(await listEntries(input, signal)))
    else images.push(...(await entriesOf(input, file, signal)))
  }
  return images
}

async function entriesOf(path: string, file: string, signal: AbortSignal | undefined): Promise<InputImage[]> {
  const facts = await lookAt(file)
  if (typeof facts === 'string') return [{ path, file, error: facts }]
  if (facts.kind === 'folder') return await folderEntries(path, file, signal)
  return facts.kind === 'file' ? [{ path, file }] : [{ path, file, error: 'is a pipe, socket or device' }]
}

async function folderEntries(folder: string, file: string, signal: AbortSignal | undefined): Promise<InputImage[]> {
  const walk = await walkFiles(file, signal)
  const start = folder.replace(/\/+$/, '')
  const entries: InputImage[] = walk.files.map((found) => {
    const slash = found.path.indexOf('/')
    const label = slash < 0 ? {} : { label: found.path.slice(0, slash) }
    return { path: `${start}/${found.path}`, file: found.file, ...label }
  })
  for (const { path, reason } of walk.skipped) {
    entries.push({ path: `${start}/${path}`, file: join(file, path), error: reason })
  }
  if (entries.length === 0) return [{ path: folder, file, error: 'is a folder without a picture' }]
  return entries.sort((a, b) => compareCodePoints(a.path, b.path))
}

async function listEntries(list: string, signal: AbortSignal | undefined): Promise<InputImage[]> {
  const entries: InputImage[] = []
  try {
    for (const { path } of await listedPaths(list)) {
      const beside = resolve(dirname(resolve(list)), path)
      const file = (await exists(resolve(path))) || !(await exists(beside)) ? resolve(path) : beside
      entries.push(...(await entriesOf(path, file, signal)))
    }
  } catch (cause) {
    if (!(cause instanceof RegraftError) || cause.code !== 'data') throw cause
    return [{ path: list, file: resolve(list), error: cause.message }]
  }
  return entries
}

async function exists(file: string): Promise<boolean> {
  return typeof (await lookAt(file)) !== 'string'
}

async function isFile(file: string): Promise<boolean> {
  const facts = await lookAt(file)
  return typeof facts !== 'string' && facts.kind === 'file'
}
