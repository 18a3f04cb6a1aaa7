// A disk that exists in memory only, for readers that are run many thousands of times.
import type { FileFacts, FileSystem, OpenFile } from '../../src/files/file-system.ts'

/** Files by their absolute paths; folders are what lies in front of them. */
export function memoryFiles(files: ReadonlyMap<string, Uint8Array>): FileSystem {
  const missing = (path: string) => Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' })
  const refuse = async (): Promise<never> => {
    throw Object.assign(new Error('this disk is only read'), { code: 'EROFS' })
  }
  const facts = async (path: string): Promise<FileFacts> => {
    const bytes = files.get(path)
    const times = { modifiedMs: 1, device: 1, inode: 1 }
    if (bytes !== undefined) return { kind: 'file', sizeBytes: bytes.length, ...times }
    if ([...files.keys()].some((name) => name.startsWith(`${path}/`))) return { kind: 'folder', sizeBytes: 0, ...times }
    throw missing(path)
  }
  return {
    async open(path, mode) {
      const bytes = files.get(path)
      if (mode !== 'read' && mode !== 'read-pipe') return refuse()
      if (bytes === undefined) throw missing(path)
      return openBytes(bytes, () => facts(path))
    },
    openFolder: refuse,
    rename: refuse,
    unlink: refuse,
    makeLink: refuse,
    removeEmptyFolder: refuse,
    makeFolder: refuse,
    async list(path) {
      return [...files.keys()]
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => ({ name: name.slice(path.length + 1), kind: 'file' as const }))
    },
    facts,
    freeBytes: async () => 2 ** 30,
    async realPath(path) {
      await facts(path)
      return path
    },
  }
}

function openBytes(bytes: Uint8Array, facts: () => Promise<FileFacts>): OpenFile {
  let next = 0
  return {
    async read(into, position) {
      const from = position ?? next
      const piece = bytes.subarray(from, from + into.length)
      into.set(piece)
      if (position === null) next += piece.length
      return piece.length
    },
    write: async () => 0,
    sync: async () => {},
    facts,
    close: async () => {},
  }
}
