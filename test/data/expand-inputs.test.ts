import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countInputs, type InputImage, inputImages } from '../../src/data/expand-inputs.ts'
import { fill, temporaryFolder } from './pictures.ts'

async function expandInputs(inputs: readonly string[]): Promise<InputImage[]> {
  const images: InputImage[] = []
  for await (const image of inputImages(inputs)) images.push(image)
  expect(await countInputs(inputs)).toBe(images.length)
  return images
}

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

test('a pattern stands for what it matches, unless a file has that very name', async () => {
  const root = temporaryFolder()
  await fill(root, { '1.jpg': undefined, '2.jpg': undefined, '[1].jpg': undefined, 'a/b/3.jpg': undefined })
  const rows = (
    await expandInputs([join(root, '*.jpg'), join(root, '[1].jpg'), join(root, 'a*'), join(root, '*.gif')])
  ).map(({ path, label, error }) => [path.replace(`${root}/`, ''), label, error])
  expect(rows).toEqual([
    ['1.jpg', undefined, undefined],
    ['2.jpg', undefined, undefined],
    ['[1].jpg', undefined, undefined],
    ['[1].jpg', undefined, undefined],
    ['a/b/3.jpg', 'b', undefined],
    ['*.gif', undefined, 'matches no file'],
  ])
})

test('a manifest stands for its rows, with their labels', async () => {
  const root = temporaryFolder()
  await fill(root, { 'p/1.jpg': undefined, 'm.csv': 'path,label\np/1.jpg,rose\np/2.jpg,\n', 'bad.csv': 'file\nx\n' })
  expect(await expandInputs([join(root, 'm.csv'), join(root, 'bad.csv')])).toEqual([
    { path: 'p/1.jpg', file: join(root, 'p', '1.jpg'), label: 'rose' },
    { path: 'p/2.jpg', file: join(root, 'p', '2.jpg') },
    { path: join(root, 'bad.csv'), file: join(root, 'bad.csv'), error: expect.stringMatching(/no column 'path'/) },
  ])
})
