import { RegraftError } from '../errors.ts'
import type { FileFacts, OpenFile } from '../files/file-system.ts'
import { readRange, withOpenFile } from '../files/read-file.ts'
import { describeContent, recogniseContent } from '../files/recognise.ts'
import { inertName } from '../inert-text.ts'
import type { Checkpoint } from '../tensor/checkpoint.ts'
import { maxHeaderBytes, parseSafetensorsHeader, type SafetensorsHeader } from './safetensors-header.ts'
import { type KnownFile, readKnown, withSameFile } from './same-file.ts'
import { checkpointOf, type StoredTensor } from './stored-tensors.ts'

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
    const tensors = tensorsOf({ path: file, facts }, header, 8 + headerBytes)
    return checkpointOf(file, tensors, { metadata: header.metadata })
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

/** Tensors within a stretch of so many bytes that are asked for at the same time are read together: opening a file costs more than its bytes. */
const TOGETHER_BYTES = 1 << 18

function tensorsOf(file: KnownFile, header: SafetensorsHeader, dataOffset: number): StoredTensor[] {
  const stretchOf = stretches(file, header, dataOffset)
  return header.tensors.map(({ name, dtype, shape, begin, end }) => ({
    name,
    dtype,
    shape,
    readBytes: async () => (begin === end ? new Uint8Array() : stretchOf(begin).read(begin, end)),
  }))
}

interface Stretch {
  readonly begin: number
  end: number
  /** In new memory. */
  read(begin: number, end: number): Promise<Uint8Array>
}

/** By where a tensor begins the stretch that it lies in. */
function stretches(file: KnownFile, { tensors }: SafetensorsHeader, dataOffset: number): (begin: number) => Stretch {
  const byBegin = new Map<number, Stretch>()
  let last: Stretch | undefined
  for (const { begin, end } of [...tensors].sort((a, b) => a.begin - b.begin)) {
    if (last === undefined || end - last.begin > TOGETHER_BYTES) last = stretch(file, dataOffset, begin)
    last.end = end
    if (end > begin) byBegin.set(begin, last)
  }
  return (begin) => {
    const found = byBegin.get(begin)
    if (found === undefined) throw new RangeError(`no tensor begins at ${begin}`)
    return found
  }
}

function stretch(file: KnownFile, dataOffset: number, from: number): Stretch {
  // Only while it is being read: nobody gets what the file was before somebody changed it.
  let pending: Promise<Uint8Array> | undefined
  const self: Stretch = {
    begin: from,
    end: from,
    async read(begin, end) {
      const all = () => withSameFile(file, (handle) => readKnown(handle, file, dataOffset + from, self.end - from))
      if (from === begin && self.end === end) return await all()
      pending ??= all().finally(() => {
        pending = undefined
      })
      return (await pending).slice(begin - from, end - from)
    },
  }
  return self
}
