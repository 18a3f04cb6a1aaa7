import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256, sha256OfFile } from '../../src/files/digest.ts'
import { withFileSystem } from '../../src/files/file-system.ts'
import { readFileLimited, readTextLimited } from '../../src/files/read-file.ts'
import { recogniseContent } from '../../src/files/recognise.ts'
import { faultyFileSystem, systemError } from './faulty-file-system.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
const file = (name: string, content: string | Uint8Array = '') => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

describe('readFileLimited', () => {
  it('reads a file up to the limit', async () => {
    const path = file('ten.txt', '0123456789')
    expect(Buffer.from(await readFileLimited(path, 10)).toString()).toBe('0123456789')
    await expect(readFileLimited(path, 9)).rejects.toThrow(/ten\.txt.*too large.*10 bytes.*9 bytes/)
    expect((await readFileLimited(file('empty'), 10)).length).toBe(0)
  })

  it('refuses what is not a file, with the class asked for', async () => {
    await expect(readFileLimited(folder, 10, { code: 'weights' })).rejects.toMatchObject({
      code: 'weights',
      file: folder,
      message: expect.stringContaining('folder, not a file'),
    })
  })

  it.skipIf(process.platform === 'win32')('does not wait at a pipe', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    await expect(readFileLimited(pipe, 10)).rejects.toThrow('pipe')
  })

  it('offers the nearest name for a missing file', async () => {
    file('model.safetensors')
    await expect(readFileLimited(join(folder, 'modell.safetensors'), 10)).rejects.toThrow(
      /not found\.\nDid you mean .*model\.safetensors\?/,
    )
    await expect(readFileLimited(join(folder, 'nowhere', 'x'), 10)).rejects.toThrow(/nowhere.*does not exist/)
  })

  it('says when permission is denied or the disk fails', async () => {
    const path = file('secret')
    for (const [fault, words] of [
      ['EACCES', 'permission denied'],
      ['EIO', 'disk'],
    ] as const) {
      const faulty = faultyFileSystem((call) => {
        if (call === 'open') throw systemError(fault)
      })
      await withFileSystem(faulty, async () => {
        await expect(readFileLimited(path, 10)).rejects.toThrow(words)
      })
    }
  })

  it('recognises pointers and pages in the place of a file', async () => {
    const pointer = file('pointer.bin', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    await expect(readFileLimited(pointer, 1000)).rejects.toThrow(/Git LFS pointer.*\n.*git lfs pull/s)
    const page = file('page.json', '\n<!DOCTYPE html><html><body>404</body></html>')
    await expect(readFileLimited(page, 1000)).rejects.toThrow('HTML page')
  })

  it('escapes hostile names in messages', async () => {
    await expect(readFileLimited(join(folder, 'a\u001b[2J\nb'), 10)).rejects.toThrow('a\\x1b[2J\\nb')
  })
})

describe('readTextLimited', () => {
  it('reads UTF-8 and drops a byte-order mark', async () => {
    expect(await readTextLimited(file('bom.txt', '\ufeffgrün'), 100)).toBe('grün')
    await expect(readTextLimited(file('latin.txt', Buffer.from('grün', 'latin1')), 100)).rejects.toThrow('UTF-8')
  })
})

describe('recogniseContent', () => {
  it('knows the files that people confuse with weights', () => {
    const of = (text: string) => recogniseContent(Buffer.from(text, 'latin1'))
    expect(of('PK\u0003\u0004')).toBe('zip')
    expect(of('\u0089HDF\r\n\u001a\n')).toBe('hdf5')
    expect(of('\u0080\u0002}q')).toBe('pickle')
    expect(of('\u001c\u0000\u0000\u0000TFL3')).toBe('tflite')
    expect(of('\u0000'.repeat(16))).toBe('zeros')
    expect(of('hello')).toBeUndefined()
    expect(of('')).toBeUndefined()
  })
})

describe('digests', () => {
  it('are SHA-256 of bytes and of files', async () => {
    // FIPS 180-2, appendix B.1.
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(sha256('abc')).toBe(expected)
    expect(await sha256OfFile(file('abc', 'abc'))).toBe(expected)
    const large = new Uint8Array(3 * 2 ** 20 + 1).fill(7)
    expect(await sha256OfFile(file('large', large))).toBe(sha256(large))
    const many = join(folder, 'many')
    mkdirSync(many)
    await expect(sha256OfFile(many)).rejects.toThrow('folder')
  })
})
