import { opendir, realpath } from 'node:fs/promises'
import { type FileFacts, fileSystem, type OpenFile } from '../files/file-system.ts'
import { reasonOf } from './bad-file.ts'
import { nameFromBytes, systemPath } from './system-path.ts'

// The door to the disk for names that need not be UTF-8. Node takes a name as bytes wherever it takes a text.

/** Opens a file to read, without waiting for the writer of a pipe. */
export async function openToRead(file: string): Promise<OpenFile> {
  return await fileSystem().open(asText(systemPath(file)), 'read')
}

/** What lies at a path, links followed, or a plain reason why nothing does. */
export async function lookAt(path: string): Promise<FileFacts | string> {
  try {
    return await fileSystem().facts(asText(systemPath(path)))
  } catch (cause) {
    const reason = reasonOf(cause)
    if (reason === undefined) throw cause
    return reason
  }
}

/** The path with all links resolved. */
export async function realPathOf(path: string): Promise<string> {
  return nameFromBytes(await realpath(systemPath(path), { encoding: 'buffer' }))
}

/** What a folder tells about one thing in it. */
export interface Entry {
  readonly name: string
  /** `other` also when the disk does not say. */
  readonly kind: 'file' | 'folder' | 'other'
}

/** The entries of a folder in the order of the disk, a few hundred at a time however many there are. */
export async function* entriesOf(folder: string): AsyncGenerator<Entry, void, undefined> {
  // The types know opendir with names as text only; 'buffer' is documented.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: 256 }
  for await (const entry of await opendir(asText(systemPath(folder)), options)) {
    const name: unknown = entry.name
    const text = Buffer.isBuffer(name) ? nameFromBytes(name) : String(name)
    yield { name: text, kind: entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other' }
  }
}

/** The types of the file system ask for text; its calls hand the path to Node, which takes bytes as well. */
function asText(path: string | Buffer): string {
  return path as string
}
