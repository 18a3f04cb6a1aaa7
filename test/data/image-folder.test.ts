import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeImage } from '../../src/data/decode.ts'
import { labelledImages, scanImages } from '../../src/data/image-folder.ts'
import { fill, plainPng, red, temporaryFolder, wholePicture } from './pictures.ts'

const paths = (samples: readonly { path: string }[]) => samples.map(({ path }) => path)

test('each folder is a class, and pictures nested deeper count to the first folder', async () => {
  const root = temporaryFolder()
  await fill(root, { 'rose/b.jpg': undefined, 'rose/deep/er/a.PNG': undefined, 'daisy/1.webp': undefined })
  const set = await scanImages(root)
  expect(set.classes).toEqual(['daisy', 'rose'])
  expect(set.samples).toEqual([
    { path: 'daisy/1.webp', file: join(root, 'daisy', '1.webp'), label: 0 },
    { path: 'rose/b.jpg', file: join(root, 'rose', 'b.jpg'), label: 1 },
    { path: 'rose/deep/er/a.PNG', file: join(root, 'rose', 'deep', 'er', 'a.PNG'), label: 1 },
  ])
})

test('classes and paths are ordered by code point, and names are kept exactly', async () => {
  const root = temporaryFolder()
  const names = ['10', '9', '1', '__proto__', 'constructor', 'Zebra', 'apple', 'ähre', '\u{1f339}', '\uff21', ' space']
  await fill(root, Object.fromEntries(names.map((name) => [`${name}/1.jpg`, undefined])))
  const { classes, samples } = await scanImages(root)
  // U+FF21 comes before the rose U+1F339, though UTF-16 would put it after.
  expect(classes).toEqual([
    ' space',
    '1',
    '10',
    '9',
    'Zebra',
    '__proto__',
    'apple',
    'constructor',
    'ähre',
    '\uff21',
    '\u{1f339}',
  ])
  expect(samples.map(({ path, label }) => [path, label])).toEqual(
    classes.map((name, label) => [`${name}/1.jpg`, label]),
  )
})

test('hidden and system files are neither classes nor pictures', async () => {
  const root = temporaryFolder()
  await fill(root, {
    'a/1.jpg': undefined,
    'b/1.jpg': undefined,
    '.ipynb_checkpoints/1.jpg': undefined,
    '__MACOSX/a/1.jpg': undefined,
    'a/._1.jpg': 'resource fork',
    'a/.hidden.jpg': undefined,
    'a/@eaDir/1.jpg': undefined,
    'a/Thumbs.db': 'x',
    'a/desktop.ini': 'x',
    'a/.DS_Store': 'x',
    '.DS_Store': 'x',
  })
  const set = await scanImages(root)
  expect(paths(set.samples)).toEqual(['a/1.jpg', 'b/1.jpg'])
  expect(set.classes).toEqual(['a', 'b'])
  expect(set.skipped).toEqual([])
  expect(paths(set.ignored)).toHaveLength(9)
})

test('pictures that cannot be read are named with the reason, other files are ignored', async () => {
  const root = temporaryFolder()
  await fill(root, {
    'a/1.jpg': undefined,
    'b/1.jpg': undefined,
    'a/old.psd': '8BPS',
    'a/phone.HEIC': 'x',
    'b/drawing.svg': '<svg/>',
    'b/paper.pdf': '%PDF',
    'b/notes.txt': 'x',
    'b/noextension': 'x',
    'lost.jpg': undefined,
    'readme.md': 'x',
  })
  const { skipped, ignored } = await scanImages(root)
  expect(skipped).toEqual([
    { path: 'a/old.psd', reason: 'is in Photoshop format, which is not supported: convert it to PNG or JPEG' },
    { path: 'a/phone.HEIC', reason: 'is in HEIC format, which is not supported: convert it to PNG or JPEG' },
    { path: 'b/drawing.svg', reason: 'is in SVG format, which is not supported: convert it to PNG or JPEG' },
    { path: 'b/paper.pdf', reason: 'is in PDF format, which is not supported: convert it to PNG or JPEG' },
    { path: 'lost.jpg', reason: 'lies outside the class folders' },
  ])
  expect(paths(ignored)).toEqual(['b/noextension', 'b/notes.txt', 'readme.md'])
})

describe('a folder that cannot be meant is refused', () => {
  test('one that is missing, with the name nearby', async () => {
    const root = temporaryFolder()
    await fill(root, { 'flowers/a/1.jpg': undefined })
    await expect(scanImages(join(root, 'flowrs'))).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/no folder .*flowrs\. Did you mean 'flowers'\?/),
    })
    await expect(scanImages(join(root, 'flowers', 'a', '1.jpg'))).rejects.toThrow(/is not a folder/)
  })

  test('one class only', async () => {
    const root = temporaryFolder()
    await fill(root, { 'cat/1.jpg': undefined })
    await expect(scanImages(root)).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/one class only: 'cat'/),
    })
  })

  test('pictures in no folder, or none at all', async () => {
    const root = temporaryFolder()
    await fill(root, { '1.jpg': undefined, '2.jpg': undefined })
    await expect(scanImages(root)).rejects.toThrow(/The 2 pictures of .* lie in no class folder/)
    await expect(scanImages(temporaryFolder())).rejects.toThrow(/holds no picture/)
  })

  test('an empty class, which is left out only when asked for', async () => {
    const root = temporaryFolder()
    await fill(root, {
      'a/1.jpg': undefined,
      'b/1.jpg': undefined,
      'c/': undefined,
      'd/x.heic': 'x',
      'd/deep/': undefined,
    })
    await expect(scanImages(root)).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/no usable picture in 2 class folders: 'c', 'd' \(x\.heic is in HEIC/),
    })
    const { classes, skipped } = await scanImages(root, { emptyFolders: 'skip' })
    expect(classes).toEqual(['a', 'b'])
    expect(paths(skipped)).toEqual(['c', 'd', 'd/x.heic'])
  })

  test('classes that differ only by case or normalisation', async () => {
    const root = temporaryFolder()
    await fill(root, { 'Rose/1.jpg': undefined, 'rose/1.jpg': undefined, 'a/1.jpg': undefined })
    await expect(scanImages(root)).rejects.toThrow(/differ only by case or Unicode normalisation: 'Rose' and 'rose'/)
    const other = temporaryFolder()
    await fill(other, { 'M\u00fcll/1.jpg': undefined, 'Mu\u0308ll/1.jpg': undefined })
    await expect(scanImages(other)).rejects.toThrow(/U\+004D 0075 0308.*U\+004D 00FC/)
  })
})

describe('a list file', () => {
  const three = { 'a/1.jpg': undefined, 'a/2.jpg': undefined, 'b/1.jpg': undefined, 'c/1.jpg': undefined }

  test('takes the pictures it names, whatever the line ends', async () => {
    const root = temporaryFolder()
    await fill(root, { ...three, 'list.txt': 'b/1.jpg\r\n\r\n./a/2.jpg\n  \n' })
    const set = await scanImages(root, { list: join(root, 'list.txt') })
    expect(set.classes).toEqual(['a', 'b'])
    expect(paths(set.samples)).toEqual(['a/2.jpg', 'b/1.jpg'])
  })

  test('is refused with every wrong line', async () => {
    const root = temporaryFolder()
    await fill(root, { ...three, 'list.txt': 'a/1.jpg\nb/no.jpg\na/1.jpg\n1.jpg\n../a/1.jpg\na\n' })
    const error: unknown = await scanImages(root, { list: join(root, 'list.txt') }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'data', message: expect.stringContaining('5 of 6 lines cannot be used') })
    for (const line of [
      "line 2: 'b/no.jpg' does not exist",
      "line 3: 'a/1.jpg' is named on line 1 already",
      "line 4: '1.jpg' has no folder",
      "line 5: '../a/1.jpg' is not relative",
      "line 6: 'a' has no folder",
    ]) {
      expect(error).toMatchObject({ message: expect.stringContaining(line) })
    }
  })
})

describe('a labelled folder for known classes', () => {
  test('maps folders by name and may lack classes or hold empty ones', async () => {
    const root = temporaryFolder()
    await fill(root, { 'b/1.jpg': undefined, 'a/': undefined })
    const set = await labelledImages(root, ['c', 'b', 'a'])
    expect(set.classes).toEqual(['c', 'b', 'a'])
    expect(set.samples.map(({ label }) => label)).toEqual([1])
  })

  test('is refused for a folder whose name two classes have', async () => {
    const root = temporaryFolder()
    await fill(root, { 'crane/1.jpg': undefined, 'daisy/1.jpg': undefined })
    await expect(labelledImages(root, ['crane', 'daisy', 'crane'])).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/'crane' is the name of several classes of the model \(numbers 0 and 2\)/),
    })
    const other = temporaryFolder()
    await fill(other, { 'daisy/1.jpg': undefined })
    expect((await labelledImages(other, ['crane', 'daisy', 'crane'])).samples.map(({ label }) => label)).toEqual([1])
  })

  test('is refused for a folder that is no class, with the nearest name', async () => {
    const root = temporaryFolder()
    await fill(root, { 'tulpi/1.jpg': undefined, 'Rose/1.jpg': undefined, 'daisy/1.jpg': undefined })
    await expect(labelledImages(root, ['daisy', 'rose', 'tulip'])).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/'Rose' \(did you mean 'rose'\?\), 'tulpi' \(did you mean 'tulip'\?\)/),
    })
  })
})

describe.skipIf(process.platform === 'win32')('what only a real file system holds', () => {
  test('pipes, dangling links, loops and folders named like pictures are named once and hold nothing up', async () => {
    const root = temporaryFolder()
    await fill(root, { 'a/1.jpg': undefined, 'b/1.jpg': undefined, 'a/folder.jpg/': undefined })
    execFileSync('mkfifo', [join(root, 'a', 'pipe.jpg')])
    symlinkSync('nowhere.jpg', join(root, 'a', 'dangling.jpg'))
    symlinkSync('..', join(root, 'a', 'loop'))
    symlinkSync('self', join(root, 'a', 'self'))
    symlinkSync('/', join(root, 'b', 'everything'))
    const { samples, skipped } = await scanImages(root)
    expect(paths(samples)).toEqual(['a/1.jpg', 'b/1.jpg'])
    expect(skipped).toEqual([
      { path: 'a/dangling.jpg', reason: 'is a link to nothing' },
      { path: 'a/folder.jpg', reason: 'is a folder named like a picture' },
      { path: 'a/loop', reason: 'is a link to a folder that is read anyway' },
      { path: 'a/pipe.jpg', reason: 'is a pipe, socket or device' },
      { path: 'a/self', reason: 'is a link that leads back to itself' },
      { path: 'b/everything', reason: 'is a link to a folder that is read anyway' },
    ])
  })

  test('links to files count, links to folders elsewhere are followed once', async () => {
    const root = temporaryFolder()
    const elsewhere = temporaryFolder()
    await fill(elsewhere, { 'x/1.jpg': undefined, 'x/deep/2.jpg': undefined })
    await fill(root, { 'a/1.jpg': undefined, 'b/1.jpg': undefined })
    symlinkSync(join(root, 'a', '1.jpg'), join(root, 'b', 'linked.jpg'))
    symlinkSync(join(elsewhere, 'x'), join(root, 'c'))
    symlinkSync(join(elsewhere, 'x'), join(root, 'd'))
    symlinkSync(root, join(elsewhere, 'x', 'back'))
    const { classes, samples, skipped } = await scanImages(root, { emptyFolders: 'skip' })
    expect(paths(samples)).toEqual(['a/1.jpg', 'b/1.jpg', 'b/linked.jpg', 'c/1.jpg', 'c/deep/2.jpg'])
    expect(classes).toEqual(['a', 'b', 'c'])
    expect(paths(skipped)).toEqual(['c/back', 'd'])
  })

  test.skipIf(process.platform === 'darwin')('a name that is not UTF-8 leads to its file', async () => {
    const root = temporaryFolder()
    await fill(root, { 'a/1.jpg': undefined, 'b/1.jpg': undefined })
    writeFileSync(
      Buffer.concat([Buffer.from(join(root, 'a', 'f')), Buffer.of(0xff), Buffer.from('ö.png')]),
      await plainPng(red),
    )
    mkdirSync(Buffer.concat([Buffer.from(join(root, 'b', 'g')), Buffer.of(0xfe)]))
    const { samples } = await scanImages(root)
    expect(paths(samples)).toEqual(['a/1.jpg', 'a/f\udcffö.png', 'b/1.jpg'])
    const bytes = await decodeImage(samples[1]?.file ?? '', wholePicture(12, 8))
    expect([...bytes.subarray(0, 3)]).toEqual([...red])
  })
})
