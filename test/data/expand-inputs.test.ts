import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expandInputs } from '../../src/data/expand-inputs.ts'
import { fill, temporaryFolder } from './pictures.ts'

test('files, folders and lists keep the order given, and what is missing keeps its row', async () => {
  const root = temporaryFolder()
  await fill(root, {
    'z.jpg': undefined,
    'photos/b/2.png': undefined,
    'photos/b/10.png': undefined,
    'photos/a.jpg': undefined,
    'photos/.a.jpg': undefined,
    'photos/old.psd': '8BPS',
    'photos/notes.md': 'x',
    'empty/': undefined,
    'list.txt': `${join(root, 'z.jpg')}\r\nphotos/a.jpg\n\nphotos/none.jpg\n`,
  })
  const inputs = [
    join(root, 'z.jpg'),
    join(root, 'photos/'),
    join(root, 'no.jpg'),
    join(root, 'empty'),
    join(root, 'list.txt'),
  ]
  const rows = (await expandInputs(inputs)).map(({ path, label, error }) => [
    path.replace(`${root}/`, ''),
    label,
    error,
  ])
  expect(rows).toEqual([
    ['z.jpg', undefined, undefined],
    ['photos/a.jpg', undefined, undefined],
    ['photos/b/10.png', 'b', undefined],
    ['photos/b/2.png', 'b', undefined],
    ['photos/old.psd', undefined, 'is in Photoshop format, which is not supported: convert it to PNG or JPEG'],
    ['no.jpg', undefined, 'does not exist'],
    ['empty', undefined, 'is a folder without a picture'],
    ['z.jpg', undefined, undefined],
    ['photos/a.jpg', undefined, undefined],
    ['photos/none.jpg', undefined, 'does not exist'],
  ])
})

test('the same input twice gives two rows', async () => {
  const root = temporaryFolder()
  await fill(root, { '1.jpg': undefined })
  expect(await expandInputs([join(root, '1.jpg'), join(root, '1.jpg')])).toHaveLength(2)
})

test('a name with a zero byte is a bad input, not a crash', async () => {
  expect(await expandInputs(['a\0b.jpg'])).toMatchObject([
    { path: 'a\0b.jpg', error: 'has a name that cannot be a file' },
  ])
})
