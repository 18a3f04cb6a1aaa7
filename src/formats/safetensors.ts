import { RegraftError } from '../errors.ts'
import type { FileFacts, OpenFile } from '../files/file-system.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { describeContent, recogniseContent } from '../files/recognise.ts'
import { formatBytes } from '../format-bytes.ts'
import { inertName } from '../inert-text.ts'
import { nearestName } from '../nearest-name.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { toFloat32 } from '../tensor/dtype.ts'
import {
  maxHeaderBytes,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors-header.ts'

export { type TensorToWrite, writeSafetensors } from './write-safetensors.ts'

/**
 * Opens a safetensors file: reads and checks the header; the values are read, each by its own positioned read, when
 * asked for. The file is not kept open; if it changes in the meantime, the next read refuses.
 * @throws RegraftError `weights` that says what is wrong: not found, truncated and by how much, another format …
 * @see https://github.com/huggingface/safetensors#format
 */
export function openSafetensors(file: string): Promise<Checkpoint> {
  return withOpenFile(file, { code: 'weights' }, async (handle, facts) => {
    const { header, headerBytes } = await readHeader(handle, facts, file)
    return checkpointOf(file, facts, header, 8 + headerBytes)
  })
}

/** Whether the beginning of a file (at least 9 bytes) can be that of a safetensors file of this size. */
export function looksLikeSafetensors(start: Uint8Array, sizeBytes: number): boolean {
  const length = declaredHeaderBytes(start)
  return length !== undefined && length <= BigInt(Math.min(maxHeaderBytes, sizeBytes - 8)) && start[8] === 0x7b
}

async function readHeader(
  handle: OpenFile,
  facts: FileFacts,
  file: string,
): Promise<{ header: SafetensorsHeader; headerBytes: number }> {
  const start = await readRange(handle, 0, Math.min(512, facts.sizeBytes))
  const fail = (problem: string) => new RegraftError('weights', `${inertName(file)}: ${problem}`, { file })
  const again = 'Download or copy it again.'
  if (start.length === 0) throw fail(`the file is empty (0 bytes).\n${again}`)
  if (!looksLikeSafetensors(start, facts.sizeBytes)) {
    const content = recogniseContent(start)
    if (content !== undefined) throw fail(`not a safetensors file: it is ${describeContent(content)}`)
  }
  const declared = declaredHeaderBytes(start)
  if (declared === undefined) {
    throw fail(`the file is truncated: ${start.length} bytes, a safetensors file has at least 8.\n${again}`)
  }
  if (declared === 0n) throw fail(`the safetensors header is empty (its length is 0).\n${again}`)
  if (declared > BigInt(maxHeaderBytes)) {
    throw fail(`not a safetensors file: its header would be ${declared} bytes, too large (at most ${maxHeaderBytes}).`)
  }
  const headerBytes = Number(declared)
  const missing = 8 + headerBytes - facts.sizeBytes
  if (missing > 0) {
    throw fail(
      `the file is truncated: the header needs ${headerBytes} bytes, ${missing} of them are missing.\n${again}`,
    )
  }
  const bytes = await readRange(handle, 8, headerBytes)
  if (bytes.length < headerBytes) throw fail(`the file became shorter while it was read.\n${again}`)
  return { header: parseSafetensorsHeader(bytes, facts.sizeBytes - 8 - headerBytes, file), headerBytes }
}

function declaredHeaderBytes(start: Uint8Array): bigint | undefined {
  if (start.length < 8) return undefined
  return new DataView(start.buffer, start.byteOffset).getBigUint64(0, true)
}

function checkpointOf(file: string, facts: FileFacts, header: SafetensorsHeader, dataOffset: number): Checkpoint {
  const entries = new Map(header.tensors.map((entry) => [entry.name, entry]))
  const names = [...entries.keys()]

  const entryOf = (name: string): TensorEntry => {
    const entry = entries.get(name)
    if (entry !== undefined) return entry
    const near = nearestName(name, names)
    const advice = near === undefined ? '' : `\nDid you mean '${inertName(near, 200)}'?`
    const message = `${inertName(file)}: there is no tensor '${inertName(name, 200)}' among ${names.length}.${advice}`
    throw new RegraftError('weights', message, { file, where: name })
  }

  const readBytes = (name: string): Promise<Uint8Array> => {
    const { begin, end } = entryOf(name)
    return withOpenFile(file, { code: 'weights' }, async (handle, now) => {
      const bytes = sameFile(facts, now) ? await readRange(handle, dataOffset + begin, end - begin) : undefined
      if (bytes?.length === end - begin) return bytes
      throw new RegraftError(
        'weights',
        `${inertName(file)}: the file was changed while it was in use (now ${formatBytes(now.sizeBytes)}).\nStart again.`,
        { file, where: name },
      )
    })
  }

  return {
    names: () => names,
    shape: (name) => entryOf(name).shape,
    dtype: (name) => entryOf(name).dtype,
    readBytes,
    async read(name) {
      const { shape, dtype } = entryOf(name)
      return { shape, data: toFloat32(await readBytes(name), dtype) }
    },
    metadata: header.metadata,
    source: file,
  }
}

function sameFile(a: FileFacts, b: FileFacts): boolean {
  return a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs && a.inode === b.inode && a.device === b.device
}
