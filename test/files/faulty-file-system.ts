import { diskFileSystem, type FileSystem, type OpenFile } from '../../src/files/file-system.ts'

/** An error as the operating system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

/**
 * The real disk, asking `before` ahead of every call that can change something or fail in use; when it throws, the
 * call fails. Writes take at most `mostBytesPerWrite`.
 */
export function faultyFileSystem(before: (call: string, path: string) => void, mostBytesPerWrite = 1e9): FileSystem {
  const guard =
    <A extends [string, ...unknown[]], R>(call: string, real: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      before(call, given[0])
      return real(...given)
    }
  const guardFile = (file: OpenFile, path: string): OpenFile => ({
    async read(into, position) {
      before('read', path)
      return file.read(into, position)
    },
    async write(from) {
      before('write', path)
      return file.write(from.subarray(0, mostBytesPerWrite))
    },
    async sync() {
      before('sync', path)
      return file.sync()
    },
    facts: () => file.facts(),
    async close() {
      // The handle must not leak, whatever the caller is told.
      await file.close()
      before('close', path)
    },
  })
  return {
    ...diskFileSystem,
    async open(path, mode) {
      before('open', path)
      return guardFile(await diskFileSystem.open(path, mode), path)
    },
    async openFolder(path) {
      before('open folder', path)
      const folder = await diskFileSystem.openFolder(path)
      return {
        close: () => folder.close(),
        async sync() {
          before('sync folder', path)
          return folder.sync()
        },
      }
    },
    rename: guard('rename', diskFileSystem.rename),
    unlink: guard('unlink', diskFileSystem.unlink),
    makeLink: guard('make link', diskFileSystem.makeLink),
    makeFolder: guard('make folder', diskFileSystem.makeFolder),
    list: guard('list', diskFileSystem.list),
    facts: guard('facts', diskFileSystem.facts),
    realPath: guard('real path', diskFileSystem.realPath),
  }
}
