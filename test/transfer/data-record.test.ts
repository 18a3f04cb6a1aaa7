// How the pictures of a run differ from those of now, in words.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DataSplit } from '../../src/data/sample.ts'
import { dataDifferences } from '../../src/transfer/data-record.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'

const row = (split: string, sha256: string | null) =>
  `${JSON.stringify({ path: 'a/1.png', label: 'a', split, bytes: null, sha256 })}\n`

test.each([
  ['train', null, 'val', 'ff', 'could not be read before'],
  ['val', 'ff', 'train', null, 'can no longer be read'],
  ['train', 'ee', 'val', 'ff', 'was for train'],
  ['train', 'ee', 'train', 'ff', 'has other contents'],
] as const)('a picture of %s with digest %s, now of %s with %s: %s', async (before, old, now, digest, words) => {
  const run = temporaryFolder()
  writeFileSync(join(run, 'split.jsonl'), row(before, old))
  const data: DataSplit = {
    root: run,
    classes: ['a'],
    train: [],
    validation: [],
    test: [],
    skipped: [],
    unusable: [],
    ignored: [],
    notes: [],
  }
  const record = { text: row(now, digest), fingerprint: '', digests: new Map() }
  expect(await dataDifferences(run, { classes: ['a'] }, data, record)).toBe(`a/1.png ${words}`)
})
