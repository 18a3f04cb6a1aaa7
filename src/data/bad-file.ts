/** Either the thing, or why there is none, in plain words for a list of bad files. */
export type Outcome<T> =
  | { readonly value: T; readonly reason?: undefined }
  | { readonly value?: undefined; readonly reason: string; readonly cause?: unknown }

/** Why the file system refused, in plain words; undefined when the file is not to blame. */
export function reasonOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause ? reasons.get(String(cause.code)) : undefined
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist'],
  ['ENAMETOOLONG', 'has a name that is too long'],
  // Node's own, for a name with a zero byte.
  ['ERR_INVALID_ARG_VALUE', 'has a name that cannot be a file'],
  ['EACCES', 'may not be read: permission denied'],
  ['EPERM', 'may not be read: permission denied'],
  ['EISDIR', 'is a folder'],
  ['ELOOP', 'is a link that leads back to itself'],
  ['ENXIO', 'is a pipe, socket or device'],
  ['ENODEV', 'is a pipe, socket or device'],
  ['EIO', 'cannot be read: the disk reports an error'],
  ['ESTALE', 'cannot be read: the network disk lost it'],
  ['EBUSY', 'cannot be read: another program holds it'],
])
