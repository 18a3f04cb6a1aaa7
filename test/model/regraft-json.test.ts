// regraft.json: what is missing or wrong is named, and nothing is guessed.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { RegraftError } from '../../src/errors.ts'
import { loadModel } from '../../src/model/load.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { savedModel } from '../stories/random-model.ts'

const folder = temporaryFolder()
const good = join(folder, 'good')
const hidden = join(folder, 'hidden')
beforeAll(async () => {
  await savedModel(good, 'mobilenetv1_025', { labels: ['a', 'b', 'c'] })
  await savedModel(hidden, 'mobilenetv1_025', { labels: ['a', 'b'], head: { kind: 'mlp', width: 4, depth: 1 } })
})

// biome-ignore lint/suspicious/noExplicitAny: a JSON document that tests spoil in every way
type Document = any
let copies = 0

/** What loading says about a copy with a changed document. */
async function complaint(source: string, file: string, change: (document: Document) => unknown): Promise<RegraftError> {
  const copy = join(folder, `copy-${copies++}`)
  cpSync(source, copy, { recursive: true })
  const document = JSON.parse(readFileSync(join(copy, file), 'utf8'))
  const changed = change(document)
  writeFileSync(join(copy, file), JSON.stringify(changed === undefined ? document : changed))
  const error: unknown = await loadModel(copy).then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(RegraftError)
  return error as RegraftError // as the line above tells
}

const without = (field: string) => (document: Document) => {
  delete document[field]
}
const withValue = (field: string, value: unknown) => (document: Document) => {
  document[field] = value
}
const preprocessing = (field: string, value: unknown) => (document: Document) => {
  document.preprocessing[field] = value
}

const cases: readonly [string, (document: Document) => unknown, RegExp][] = [
  ['no format', without('format'), /'format' is undefined; this version of regraft reads 1/],
  ['a later format', withValue('format', 2), /'format' is 2; this version of regraft reads 1/],
  ['a format as text', withValue('format', '1'), /'format' is "1"/],
  ['no labels', without('labels'), /'labels' is not a list/],
  ['labels as a text', withValue('labels', 'abc'), /'labels' is not a list/],
  ['a number among the labels', withValue('labels', ['a', 2, 'c']), /'labels' holds something that is not text/],
  ['too few labels', withValue('labels', ['a', 'b']), /config\.json says 3 classes, but regraft\.json .* names 2/],
  ['no labels for a head', withValue('labels', []), /'labels' has 0 names/],
  ['no preprocessing', without('preprocessing'), /'preprocessing' is missing/],
  ['preprocessing as a list', withValue('preprocessing', []), /'preprocessing' is missing/],
  ['no width', preprocessing('width', undefined), /size undefinedx32/],
  ['a width that is no whole number', preprocessing('width', 32.5), /size 32\.5x32/],
  ['a width of nothing', preprocessing('width', 0), /size 0x32/],
  ['no crop', preprocessing('cropPct', undefined), /cropPct/],
  ['a crop as text', preprocessing('cropPct', '1'), /cropPct/],
  ['an unknown interpolation', preprocessing('interpolation', 'cubic'), /interpolation 'cubic': one of bilinear/],
  ['an unknown crop mode', preprocessing('cropMode', 'middle'), /crop-mode 'middle': one of center/],
  ['no mean', preprocessing('mean', undefined), /lacks mean or std/],
  ['two means', preprocessing('mean', [0, 0]), /mean \[0,0\]: three numbers/],
  ['a mean as text', preprocessing('mean', ['0', 0, 0]), /mean .*three numbers/],
  ['a deviation of nothing', preprocessing('std', [1, 0, 1]), /std \[1,0,1\]: three numbers above zero/],
  ['an unknown resize', preprocessing('resize', 'quick'), /resize 'quick': one of exact, fast/],
  ['no head', without('head'), /'head' is missing/],
  ['a head as text', withValue('head', 'linear'), /'head' is missing/],
  ['an unknown head', withValue('head', { kind: 'svm' }), /'head' must be linear, own, none, mlp, maxout or knn/],
  ['a hidden head without width', withValue('head', { kind: 'mlp', depth: 1 }), /'head' needs a whole number 'width'/],
  [
    'a hidden head of half a layer',
    withValue('head', { kind: 'mlp', width: 4, depth: 0.5 }),
    /'head' needs a whole number 'depth'/,
  ],
  [
    'an immense head',
    withValue('head', { kind: 'mlp', width: 1e9, depth: 1 }),
    /'head' needs a whole number 'width' from 1 to 65536/,
  ],
  [
    'an activation that is not known',
    withValue('head', { kind: 'mlp', width: 4, depth: 1, activation: 'gelo' }),
    /'head' has the activation "gelo"/,
  ],
  ['a maxout of one piece', withValue('head', { kind: 'maxout', width: 4, pieces: 1 }), /'pieces' from 2 to 64/],
  ['a loss that is not known', withValue('loss', { kind: 'huber' }), /'loss' is .*no loss that is known/],
  ['a focal loss without its number', withValue('loss', { kind: 'focal' }), /'loss' is .*no loss that is known/],
  ['an output of another loss', withValue('loss', { kind: 'bce' }), /'output' is "softmax"; .* sigmoid is understood/],
  ['no output', without('output'), /'output' is undefined; for this head and loss softmax is understood/],
  ['another output', withValue('output', 'sigmoid'), /'output' is "sigmoid"/],
  ['digests as a list', withValue('digests', []), /'digests' is not a table/],
  ['a digest that is none', withValue('digests', { 'model.safetensors': 'abc' }), /'digests' holds no SHA-256 for/],
  ['a list', () => [], /'format' is missing/],
  ['nothing', () => null, /'format' is missing/],
]

test.each(cases)('a regraft.json with %s is refused', async (_, change, message) => {
  const error = await complaint(good, 'regraft.json', change)
  expect(error.code).toBe('weights')
  expect(error.message).toMatch(message)
  expect(error.message).toMatch(/regraft\.json/)
})

test('a hidden head without its file is told', async () => {
  const copy = join(folder, 'headless')
  cpSync(hidden, copy, { recursive: true })
  rmSync(join(copy, 'head.safetensors'))
  await expect(loadModel(copy)).rejects.toMatchObject({
    code: 'weights',
    message: expect.stringMatching(/no head\.safetensors in .*headless.*\nCopy the whole folder/),
  })
})

test('digests may be taken out by who changed the weights on purpose', async () => {
  const copy = join(folder, 'changed')
  cpSync(good, copy, { recursive: true })
  const file = join(copy, 'model.safetensors')
  const bytes = readFileSync(file)
  bytes[bytes.length - 4] = (bytes[bytes.length - 4] ?? 0) ^ 1
  writeFileSync(file, bytes)
  const document = JSON.parse(readFileSync(join(copy, 'regraft.json'), 'utf8'))
  writeFileSync(join(copy, 'regraft.json'), JSON.stringify({ ...document, digests: undefined }))
  expect((await loadModel(copy)).model.labels).toEqual(['a', 'b', 'c'])
})

test('a config.json of another number of classes is told', async () => {
  const error = await complaint(good, 'config.json', (document) => {
    document.num_classes = 7
    delete document.label_names
  })
  expect(error).toMatchObject({ code: 'weights', message: expect.stringMatching(/says 7 classes.* names 3/) })
})
