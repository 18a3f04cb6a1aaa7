// A folder as it comes from the wild: good pictures, damaged ones, pipes, loops, odd names. Every verb finishes, names each bad file once
// and uses every good one, twice the same.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { csvRows, plainText } from '../../src/vectors/csv.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { buildRegraft } from './built-regraft.ts'
import { savedModel } from './random-model.ts'

const hostile = fileURLToPath(new URL('../../../shared/hostile/', import.meta.url))
const python = '/usr/bin/python3'
const possible =
  process.platform === 'linux' &&
  existsSync(hostile) &&
  existsSync('/usr/bin/time') &&
  spawnSync(python, ['-c', 'import PIL']).status === 0

interface ListedFile {
  readonly path: string
  readonly good: boolean
  readonly why?: string
}

/** What the processes below may take: Node, the codecs, the kernels of a small network. */
const LIMIT_KIB = 400 * 1024

describe.skipIf(!possible)('a folder of 1,000 files, 15 % of them hostile', { timeout: 600_000 }, () => {
  const folder = possible ? temporaryFolder() : ''
  const data = join(folder, 'wild', 'train')
  const model = join(folder, 'model')
  let main: string
  let files: readonly ListedFile[]

  beforeAll(async () => {
    main = buildRegraft(join(folder, 'regraft'))
    await savedModel(model, 'mobilenetv1_025')
    const words = [join(hostile, 'make_folder.py'), join(hostile, 'corpus'), join(folder, 'wild')]
    expect(spawnSync(python, [...words, '--n', '1000', '--bad', '0.15', '--special']).status).toBe(0)
    // An empty class is a mistake of its own, which is told.
    rmSync(join(data, 'empty_class'), { recursive: true })
    const manifest: { files: ListedFile[] } = JSON.parse(readFileSync(join(folder, 'wild', 'manifest.json'), 'utf8'))
    // A name that is not UTF-8 is shown with a replacement character.
    files = manifest.files.map((file) => ({ ...file, path: file.path.slice(6).replace(/[\udc80-\udcff]/g, '\ufffd') }))
  })

  function regraft(...words: readonly string[]) {
    const measured = ['-f', 'peak %M KiB', process.execPath, main, ...words]
    const { status, stdout, stderr } = spawnSync('/usr/bin/time', measured, { encoding: 'utf8', maxBuffer: 2 ** 26 })
    const peakKiB = Number(/peak (\d+) KiB/.exec(stderr)?.[1] ?? Number.NaN)
    return { status, stdout, stderr, peakKiB }
  }

  const paths = (list: readonly ListedFile[]) => list.map(({ path }) => path).sort()

  /** Rows of a table by path below the folder. */
  async function rowsOf(text: string, pathColumn: number, errorColumn: number) {
    const good: string[] = []
    const bad: string[] = []
    let header = true
    for await (const { cells } of csvRows([text], 'rows')) {
      const path = plainText(cells[pathColumn] ?? '').slice(data.length + 1)
      if (!header) (cells[errorColumn] === '' ? good : bad).push(path)
      header = false
    }
    return { good: good.sort(), bad: bad.sort() }
  }

  /** In a folder to predict, what is hidden or not named as a picture is no input. */
  const isInput = ({ path }: ListedFile) => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    return (
      !name.startsWith('.') &&
      (/\.(jpg|jpeg|png|webp|gif|bmp|tiff?|avif|svg|heic)$/i.test(name) || name === 'loop') &&
      name !== 'folder.jpg'
    )
  }

  test('train uses the good ones and names each of the others once', () => {
    const lists: string[] = []
    for (const out of [join(folder, 'run-1'), join(folder, 'run-2')]) {
      const ran = regraft('train', data, '--model', model, '--mode', 'features', '--out', out, '--threads', '2')
      expect(ran.status, ran.stderr).toBe(0)
      expect(ran.peakKiB).toBeLessThan(LIMIT_KIB)
      const { images } = JSON.parse(readFileSync(join(out, 'metrics.json'), 'utf8'))
      expect(images.train + images.val).toBe(files.filter(({ good }) => good).length)
      lists.push(readFileSync(join(out, 'bad.jsonl'), 'utf8'))
    }
    const named = (lists[0] ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).path)
    expect(named.sort()).toEqual(paths(files.filter(({ good }) => !good)))
    expect(lists[1]).toBe(lists[0])
  })

  test('--strict stops before the first epoch', () => {
    const ran = regraft('train', data, '--model', model, '--out', join(folder, 'strict'), '--strict')
    expect(ran.status, ran.stderr).toBe(3)
    expect(ran.stderr).toMatch(/\d+ pictures cannot be read, and --strict was given/)
    expect(ran.stderr).not.toContain('epoch 1')
  })

  test('embed and predict give every input a row, twice the same, in little memory', async () => {
    const run = join(folder, 'run-1')
    const tables: string[] = []
    for (const out of [join(folder, 'vectors-1'), join(folder, 'vectors-2')]) {
      const ran = regraft('embed', data, '--model', model, '--out', out)
      expect(ran.status, ran.stderr).toBe(0)
      expect(ran.peakKiB).toBeLessThan(LIMIT_KIB)
      tables.push(readFileSync(join(out, 'index.csv'), 'utf8'))
    }
    expect(tables[1]).toBe(tables[0])
    const predictions = [0, 1].map(() => regraft('predict', run, data, '--strict'))
    for (const { status, peakKiB, stdout } of predictions) {
      expect(status).toBe(7)
      expect(peakKiB).toBeLessThan(LIMIT_KIB)
      expect(stdout).toBe(predictions[0]?.stdout)
    }
    const inputs = files.filter(isInput)
    const expected = { good: paths(inputs.filter(({ good }) => good)), bad: paths(inputs.filter(({ good }) => !good)) }
    expect(await rowsOf(tables[0] ?? '', 1, 3)).toEqual(expected)
    expect(await rowsOf(predictions[0]?.stdout ?? '', 0, 3)).toEqual(expected)
  })
})
