// A disk that remembers what of it would outlast a power cut: the contents of files and the names in folders, each as it was when it was
// last synced. Nothing that was not synced is promised to stay, and everything may have stayed.
import * as path from 'node:path'
import type { FileFacts, FileSystem, OpenFile } from '../../src/files/file-system.ts'
import { systemError } from '../files/faulty-file-system.ts'

interface Content {
  readonly kind: 'file'
  readonly id: number
  bytes: Uint8Array
  synced: Uint8Array
}

interface Folder {
  readonly kind: 'folder'
  readonly id: number
  names: Map<string, number>
  synced: Map<string, number>
}

type Node = Content | Folder

/** A call that changes the disk. */
export type Change =
  | { readonly do: 'create' | 'make folder' | 'sync folder' | 'unlink' | 'remove folder'; readonly path: string }
  | { readonly do: 'write'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly do: 'sync'; readonly path: string }
  | { readonly do: 'rename'; readonly from: string; readonly path: string }

/** What of the things that were not synced is lost. */
export interface Loss {
  readonly file: (id: number) => 'kept' | 'lost' | 'zeros'
  readonly folder: (id: number) => 'kept' | 'lost'
}

/** A disk in memory, below one folder. */
export class ForgetfulDisk {
  private readonly nodes: Node[] = []
  private readonly root: Folder
  private readonly base: string

  constructor(base: string) {
    this.base = base
    this.root = this.add({ kind: 'folder', id: 0, names: new Map(), synced: new Map() })
  }

  private add<N extends Node>(node: N): N {
    this.nodes.push(node)
    return node
  }

  private folderAt(at: string): Folder {
    let folder = this.root
    for (const name of path.relative(this.base, at).split('/').filter(Boolean)) {
      const next = this.nodes[folder.names.get(name) ?? -1]
      if (next?.kind !== 'folder') throw new Error(`no folder ${at}`)
      folder = next
    }
    return folder
  }

  private fileAt(at: string): Content {
    const node = this.nodes[this.folderAt(path.dirname(at)).names.get(path.basename(at)) ?? -1]
    if (node?.kind !== 'file') throw new Error(`no file ${at}`)
    return node
  }

  apply(change: Change): void {
    const name = path.basename(change.path)
    switch (change.do) {
      case 'create': {
        const file = this.add({
          kind: 'file',
          id: this.nodes.length,
          bytes: new Uint8Array(),
          synced: new Uint8Array(),
        })
        this.folderAt(path.dirname(change.path)).names.set(name, file.id)
        break
      }
      case 'make folder': {
        const folder = this.add({ kind: 'folder', id: this.nodes.length, names: new Map(), synced: new Map() })
        this.folderAt(path.dirname(change.path)).names.set(name, folder.id)
        break
      }
      case 'write': {
        const file = this.fileAt(change.path)
        file.bytes = Buffer.concat([file.bytes, change.bytes])
        break
      }
      case 'sync': {
        const file = this.fileAt(change.path)
        file.synced = file.bytes
        break
      }
      case 'sync folder': {
        const folder = this.folderAt(change.path)
        folder.synced = new Map(folder.names)
        break
      }
      case 'unlink':
      case 'remove folder':
        this.folderAt(path.dirname(change.path)).names.delete(name)
        break
      case 'rename': {
        const from = this.folderAt(path.dirname(change.from))
        const id = from.names.get(path.basename(change.from))
        if (id === undefined) throw new Error(`nothing to rename at ${change.from}`)
        from.names.delete(path.basename(change.from))
        this.folderAt(path.dirname(change.path)).names.set(name, id)
        break
      }
    }
  }

  /** Files and folders whose state now is not what is promised. */
  unsynced(): { readonly files: readonly number[]; readonly folders: readonly number[] } {
    const files: number[] = []
    const folders: number[] = []
    for (const node of this.nodes) {
      if (node.kind === 'file' && node.bytes !== node.synced) files.push(node.id)
      if (node.kind === 'folder' && !sameNames(node.names, node.synced)) folders.push(node.id)
    }
    return { files, folders }
  }

  /** What is found after a power cut: files by their paths, and folders, which have none. */
  after(loss: Loss): Map<string, Uint8Array | undefined> {
    const found = new Map<string, Uint8Array | undefined>()
    const visit = (folder: Folder, at: string): void => {
      found.set(at, undefined)
      const names = loss.folder(folder.id) === 'kept' ? folder.names : folder.synced
      for (const [name, id] of names) {
        const node = this.nodes[id]
        if (node?.kind === 'folder') visit(node, path.join(at, name))
        else if (node) found.set(path.join(at, name), this.contentAfter(node, loss))
      }
    }
    visit(this.root, this.base)
    return found
  }

  private contentAfter({ id, bytes, synced }: Content, loss: Loss): Uint8Array {
    const fate = loss.file(id)
    if (fate === 'kept') return bytes
    if (fate === 'lost') return synced
    const zeroed = new Uint8Array(bytes.length)
    zeroed.set(synced)
    return zeroed
  }
}

function sameNames(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([name, id]) => b.get(name) === id)
}

/** The disk, on which all changes below a folder are written down. */
export function recordingFileSystem(disk: FileSystem, below: string, log: (change: Change) => void): FileSystem {
  const inside = (at: string) => at === below || at.startsWith(`${below}/`)
  const record = (change: Change) => {
    if (inside(change.path)) log(change)
  }
  return {
    ...disk,
    async open(at, mode) {
      const existed = mode === 'append' && (await disk.facts(at).then(Boolean, () => false))
      const file = await disk.open(at, mode)
      if (mode === 'create' || (mode === 'append' && !existed)) record({ do: 'create', path: at })
      if (mode === 'overwrite' && inside(at)) throw new Error(`${at} is overwritten in place`)
      const recorded: OpenFile = {
        ...file,
        async write(from) {
          const written = await file.write(from)
          record({ do: 'write', path: at, bytes: new Uint8Array(from.subarray(0, written)) })
          return written
        },
        async sync() {
          await file.sync()
          record({ do: 'sync', path: at })
        },
      }
      return recorded
    },
    async openFolder(at) {
      const folder = await disk.openFolder(at)
      return {
        close: () => folder.close(),
        async sync() {
          await folder.sync()
          record({ do: 'sync folder', path: at })
        },
      }
    },
    async rename(from, to) {
      await disk.rename(from, to)
      record({ do: 'rename', from, path: to })
    },
    async unlink(at) {
      await disk.unlink(at)
      record({ do: 'unlink', path: at })
    },
    async removeEmptyFolder(at) {
      await disk.removeEmptyFolder(at)
      record({ do: 'remove folder', path: at })
    },
    async makeFolder(at) {
      await disk.makeFolder(at)
      record({ do: 'make folder', path: at })
    },
  }
}

/** A disk that is only read: files by their paths, and folders, which have no bytes. */
export function foundFileSystem(found: ReadonlyMap<string, Uint8Array | undefined>): FileSystem {
  const refuse = () => Promise.reject(systemError('EROFS'))
  const facts = async (at: string): Promise<FileFacts> => {
    if (!found.has(at)) throw systemError('ENOENT')
    const bytes = found.get(at)
    const times = { modifiedMs: 1, device: 1, inode: 1 }
    return bytes ? { kind: 'file', sizeBytes: bytes.length, ...times } : { kind: 'folder', sizeBytes: 0, ...times }
  }
  return {
    async open(at, mode) {
      const bytes = found.get(at)
      if (mode !== 'read' && mode !== 'read-pipe') return refuse()
      if (bytes === undefined) throw systemError(found.has(at) ? 'EISDIR' : 'ENOENT')
      let next = 0
      return {
        async read(into, position) {
          const from = position ?? next
          const piece = bytes.subarray(from, from + into.length)
          into.set(piece)
          if (position === null) next += piece.length
          return piece.length
        },
        write: refuse,
        sync: refuse,
        facts: () => facts(at),
        close: async () => undefined,
      }
    },
    openFolder: refuse,
    rename: refuse,
    unlink: refuse,
    makeLink: refuse,
    removeEmptyFolder: refuse,
    makeFolder: refuse,
    list: async (at) =>
      [...found]
        .filter(([name]) => path.dirname(name) === at && name !== at)
        .map(([name, bytes]) => ({ name: path.basename(name), kind: bytes ? ('file' as const) : ('folder' as const) })),
    facts,
    freeBytes: async () => 2 ** 40,
    async realPath(at) {
      await facts(at)
      return at
    },
  }
}
