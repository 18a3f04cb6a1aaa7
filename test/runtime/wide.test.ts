// The wide kernels as V8 fuses them, on a Node that can: this one, or the one that `npm run test:package` keeps.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const kept = (major: number) =>
  join(tmpdir(), `regraft-nodes/${major}/node_modules/node-${process.platform}-${process.arch}/bin/node`)
const own = Number(process.versions.node.split('.')[0])
const nodes = [24, 26].flatMap((major) => {
  const binary = major === own ? process.execPath : kept(major)
  return existsSync(binary) ? [{ major, binary }] : []
})

/** Whether this processor has what V8 fuses with; unknown elsewhere than on Linux. */
const hasWideRegisters =
  process.arch === 'x64' && process.platform === 'linux' && /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))

const script = fileURLToPath(new URL('./wide-networks.ts', import.meta.url))

async function networksUnder(binary: string): Promise<Record<string, unknown>> {
  const args = ['--import', import.meta.resolve('tsx'), script]
  const { stdout, stderr } = await promisify(execFile)(binary, args, { env: { PATH: process.env['PATH'] } })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

describe.skipIf(nodes.length === 0)('256-bit vectors (skipped where there is neither Node 24 nor 26)', () => {
  test.each(nodes)(
    'give the bits of 128-bit ones on Node $major, forward and in training',
    { timeout: 120_000 },
    async ({ binary }) => {
      const { relaxed, wide, again, note, bits } = await networksUnder(binary)
      expect(wide).toEqual(relaxed)
      expect(again).toEqual(relaxed)
      expect(note).toMatch(bits === 256 ? /^256-bit vectors: / : /^128-bit vectors: /)
      if (hasWideRegisters) expect(bits, String(note)).toBe(256)
    },
  )
})
