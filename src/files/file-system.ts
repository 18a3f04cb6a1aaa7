import { constants } from 'node:fs'
import * as node from 'node:fs/promises'

/** What is known of a file without opening it. */
export interface FileFacts {
  readonly kind: FileKind
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly device: number
  readonly inode: number
}

export type FileKind = 'file' | 'folder' | 'link' | 'other'

/** An open file. `read` and `write` may do less than asked for, and say how much. */
export interface OpenFile {
  /** @param position  offset in the file, or null to go on from where the last read ended */
  read(into: Uint8Array, position: number | null): Promise<number>
  write(from: Uint8Array): Promise<number>
  sync(): Promise<void>
  facts(): Promise<FileFacts>
  close(): Promise<void>
}

/**
 * How a file is opened: to read it, to read it or a pipe, to make a new one that must not exist, to overwrite,
 * or to append and read.
 */
export type OpenMode = 'read' | 'read-pipe' | 'create' | 'overwrite' | 'append'

/**
 * Every call that reaches the disk. Everything the product reads and writes goes through this one object, so that a
 * test can put another in its place and let the n-th call fail.
 */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<OpenFile>
  /** Opens a folder only to `sync` it. */
  openFolder(path: string): Promise<{ sync(): Promise<void>; close(): Promise<void> }>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes a symbolic link. @param target  relative to the folder of the link, or absolute */
  makeLink(target: string, path: string): Promise<void>
  removeEmptyFolder(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
  list(path: string): Promise<readonly { readonly name: string; readonly kind: FileKind }[]>
  /** Follows links. */
  facts(path: string): Promise<FileFacts>
  /** The path with all links resolved. */
  realPath(path: string): Promise<string>
  /** What is free for this user on the disk that holds this path. */
  freeBytes(path: string): Promise<number>
}

/** The real disk. */
export const diskFileSystem: FileSystem = {
  async open(path, mode) {
    return openFile(await node.open(path, openFlags[mode]))
  },
  openFolder: (path) => node.open(path, 'r'),
  rename: node.rename,
  unlink: node.unlink,
  makeLink: (target, path) => node.symlink(target, path, 'file'),
  removeEmptyFolder: node.rmdir,
  async makeFolder(path) {
    await node.mkdir(path)
  },
  async list(path) {
    const entries = await node.readdir(path, { withFileTypes: true })
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
  },
  async facts(path) {
    return factsOf(await node.stat(path))
  },
  realPath: (path) => node.realpath(path),
  async freeBytes(path) {
    const { bavail, bsize } = await node.statfs(path)
    return bavail * bsize
  },
}

let current: FileSystem = diskFileSystem

/** The file system in use. */
export function fileSystem(): FileSystem {
  return current
}

/** Runs `work` with another file system in place of the disk, for tests; the former one is back afterwards. */
export async function withFileSystem<T>(replacement: FileSystem, work: () => Promise<T>): Promise<T> {
  const former = current
  current = replacement
  try {
    return await work()
  } finally {
    current = former
  }
}

// 'read' does not wait on open: a pipe without a writer would hang there for ever. It changes nothing for ordinary files.
const openFlags: Readonly<Record<OpenMode, string | number>> = {
  read: constants.O_RDONLY | (constants.O_NONBLOCK ?? 0),
  'read-pipe': 'r',
  create: 'wx',
  overwrite: 'w',
  append: 'a+',
}

function openFile(handle: node.FileHandle): OpenFile {
  return {
    async read(into, position) {
      return (await handle.read(into, 0, into.byteLength, position)).bytesRead
    },
    async write(from) {
      return (await handle.write(from, 0, from.byteLength, null)).bytesWritten
    },
    sync: () => handle.sync(),
    async facts() {
      return factsOf(await handle.stat())
    },
    close: () => handle.close(),
  }
}

function factsOf(stats: Awaited<ReturnType<typeof node.stat>>): FileFacts {
  return {
    kind: kindOf(stats),
    sizeBytes: Number(stats.size),
    modifiedMs: Number(stats.mtimeMs),
    device: Number(stats.dev),
    inode: Number(stats.ino),
  }
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): FileKind {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  return entry.isSymbolicLink() ? 'link' : 'other'
}
