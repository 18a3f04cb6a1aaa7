import { dirname, resolve } from 'node:path'
import { RegraftError, throwIfAborted } from '../errors.ts'
import { filePieces } from '../files/pieces.ts'
import { lookAt } from './disk.ts'
import { isPattern, matchingPaths } from './glob.ts'
import { isList } from './list-file.ts'
import { isManifest, manifestRows } from './manifest.ts'
import { pathLines } from './path-lines.ts'
import { walkInOrder } from './walk-in-order.ts'

/** One picture to predict or embed: a row of the output, also when it cannot be read. */
export interface InputImage {
  /** As given, or the folder as given and what follows in it. */
  readonly path: string
  /** Absolute. */
  readonly file: string
  /** What a manifest says, or the first folder below the given folder: its class, in a folder per class. */
  readonly label?: string
  /** Why there is no picture, when that is known already. */
  readonly error?: string
}

/**
 * The pictures that files, folders, patterns, lists of paths (relative to the working directory or else to the list) and manifests stand for, one after the other as they are found, in
 * the order given; those of a folder by code point. What is missing or no picture becomes an entry with an error; in folders only
 * what is named as a picture counts.
 */
export async function* inputImages(
  inputs: Iterable<string> | AsyncIterable<string>,
  signal?: AbortSignal,
): AsyncGenerator<InputImage, void, undefined> {
  for await (const input of inputs) {
    const facts = await lookAt(resolve(input))
    const isFile = typeof facts !== 'string' && facts.kind === 'file'
    // What is there under its very name is no pattern.
    if (typeof facts === 'string' && isPattern(input)) yield* matches(input, signal)
    else if (isFile && isList(input)) yield* orError(input, listEntries(input, signal))
    else if (isFile && isManifest(input)) yield* orError(input, manifestEntries(input))
    else yield* entriesOf(input, resolve(input), signal)
  }
}

/** How many rows inputs will give, to show progress by; a folder in a list counts as one. */
export async function countInputs(inputs: Iterable<string>, signal?: AbortSignal): Promise<number> {
  let count = 0
  for (const input of inputs) {
    const facts = await lookAt(resolve(input))
    const isFile = typeof facts !== 'string' && facts.kind === 'file'
    const rows =
      isFile && isList(input)
        ? pathLines(filePieces(input, { code: 'data' }), 'newline')
        : isFile && isManifest(input)
          ? manifestRows(input)
          : inputImages([input], signal)
    try {
      for await (const _ of rows) count += 1
    } catch (cause) {
      // What is wrong with it is told when it is read for good.
      throwIfAborted(signal)
      if (!isListProblem(cause)) throw cause
      count += 1
    }
  }
  return count
}

async function* entriesOf(path: string, file: string, signal: AbortSignal | undefined): AsyncGenerator<InputImage> {
  const facts = await lookAt(file)
  if (typeof facts === 'string') yield { path, file, error: facts }
  else if (facts.kind === 'folder') yield* folderEntries(path, file, signal)
  else if (facts.kind === 'file') yield { path, file }
  else yield { path, file, error: 'is a pipe, socket or device' }
}

async function* folderEntries(
  folder: string,
  file: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<InputImage> {
  const start = folder.replace(/\/+$/, '')
  let found = false
  for await (const { path, file: inside, reason } of walkInOrder(file, signal)) {
    found = true
    const slash = path.indexOf('/')
    const label = slash < 0 || reason !== undefined ? {} : { label: path.slice(0, slash) }
    yield { path: `${start}/${path}`, file: inside, ...label, ...(reason === undefined ? {} : { error: reason }) }
  }
  if (!found) yield { path: folder, file, error: 'is a folder without a picture' }
}

async function* matches(pattern: string, signal: AbortSignal | undefined): AsyncGenerator<InputImage> {
  const paths = await matchingPaths(pattern)
  if (paths.length === 0) yield { path: pattern, file: resolve(pattern), error: 'matches no file' }
  for (const path of paths) yield* entriesOf(path, resolve(path), signal)
}

async function* listEntries(list: string, signal: AbortSignal | undefined): AsyncGenerator<InputImage> {
  for await (const { path } of pathLines(filePieces(list, { code: 'data' }), 'newline')) {
    const beside = resolve(dirname(resolve(list)), path)
    const file = (await exists(resolve(path))) || !(await exists(beside)) ? resolve(path) : beside
    yield* entriesOf(path, file, signal)
  }
}

async function* manifestEntries(manifest: string): AsyncGenerator<InputImage> {
  for await (const { path, file, label } of manifestRows(manifest)) {
    yield { path, file, ...(label === undefined ? {} : { label }) }
  }
}

/** A list that cannot be read is a bad input, not the end of the work; what came before stays. */
async function* orError(list: string, entries: AsyncGenerator<InputImage>): AsyncGenerator<InputImage> {
  try {
    yield* entries
  } catch (cause) {
    if (!isListProblem(cause)) throw cause
    yield { path: list, file: resolve(list), error: cause.message }
  }
}

function isListProblem(cause: unknown): cause is Error {
  return cause instanceof RangeError || (cause instanceof RegraftError && cause.code === 'data')
}

async function exists(file: string): Promise<boolean> {
  return typeof (await lookAt(file)) !== 'string'
}
