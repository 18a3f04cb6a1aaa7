// What DATA is: a disk that fails is not a folder that is missing.
import { expect, test } from 'vitest'
import { findSource } from '../../src/data/data-source.ts'
import { withFileSystem } from '../../src/files/file-system.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { injected } from '../stories/injected-faults.ts'

test('a folder that the disk does not tell about is named with what the disk says', async () => {
  const folder = temporaryFolder()
  const { disk } = injected('look', 'EIO', 1)
  await expect(withFileSystem(disk, () => findSource(folder))).rejects.toMatchObject({
    code: 'data',
    message: expect.stringMatching(/cannot be read: the disk reports an error/),
  })
  expect(await findSource(folder)).toMatchObject({ kind: 'folder' })
  await expect(findSource(`${folder}/none`)).rejects.toMatchObject({ message: expect.stringContaining('There is no') })
})
