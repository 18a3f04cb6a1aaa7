// The folder of tiny-imagenet-200 as Stanford gives it: train/<class>/images/*.JPEG, and val/images/*.JPEG with a table of labels.
import { readdir, readFile } from 'node:fs/promises'
import * as path from 'node:path'
import { RegraftError } from '../../src/errors.ts'

export interface LabelledPicture {
  /** Relative to the folder. */
  readonly path: string
  /** Index into the classes. */
  readonly label: number
}

export interface PictureLists {
  /** The first name of each in words.txt, in the order of their numbers in WordNet. */
  readonly classes: readonly string[]
  readonly train: readonly LabelledPicture[]
  readonly validation: readonly LabelledPicture[]
}

/** @throws RegraftError 'data' when the folder is another one */
export async function listPictures(folder: string): Promise<PictureLists> {
  const numbers = (await lines(folder, 'wnids.txt')).map((line) => line.trim()).sort()
  const words = new Map((await lines(folder, 'words.txt')).map((line) => twoFields(line)))
  const labels = new Map(numbers.map((number, label) => [number, label]))
  const train: LabelledPicture[] = []
  for (const [label, number] of numbers.entries()) {
    const images = `train/${number}/images`
    for (const name of await namesIn(folder, images)) train.push({ path: `${images}/${name}`, label })
  }
  const validation = (await lines(folder, 'val/val_annotations.txt')).map((line) => {
    const [name, number] = twoFields(line)
    const label = labels.get(number)
    if (label === undefined)
      throw new RegraftError('data', `val/val_annotations.txt names the unknown class ${number}.`)
    return { path: `val/images/${name}`, label }
  })
  return { classes: numbers.map((number) => words.get(number)?.split(',')[0]?.trim() ?? number), train, validation }
}

function twoFields(line: string): [string, string] {
  const [first = '', second = ''] = line.split('\t')
  return [first, second]
}

async function namesIn(folder: string, below: string): Promise<readonly string[]> {
  const names = await readdir(path.join(folder, below)).catch((cause) => missing(folder, below, cause))
  return names.filter((name) => name.endsWith('.JPEG')).sort()
}

async function lines(folder: string, file: string): Promise<readonly string[]> {
  const text = await readFile(path.join(folder, file), 'utf8').catch((cause) => missing(folder, file, cause))
  return text.split('\n').filter((line) => line.trim() !== '')
}

function missing(folder: string, what: string, cause: unknown): never {
  throw new RegraftError(
    'data',
    `${folder} is no tiny-imagenet-200: ${what} cannot be read. Give the folder that holds train, val and wnids.txt.`,
    { file: path.join(folder, what), cause },
  )
}
