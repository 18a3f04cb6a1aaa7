import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { withFileSystem } from '../../src/files/file-system.ts'
import { replaceFolder } from '../../src/files/replace-folder.ts'
import { faultyFileSystem, systemError } from './faulty-file-system.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
let place = ''
beforeEach(({ task }) => {
  place = join(folder, task.name)
  mkdirSync(place)
})

function put(name: string, text: string): string {
  mkdirSync(join(place, name))
  writeFileSync(join(place, name, 'file'), text)
  return join(place, name)
}
const contents = (name: string) => readFileSync(join(place, name, 'file'), 'utf8')

test('a folder takes the place of another', async () => {
  put('best', 'former')
  put('best.old', 'older')
  await replaceFolder(put('best.new', 'newer'), join(place, 'best'))
  expect(readdirSync(place)).toEqual(['best'])
  expect(contents('best')).toBe('newer')
})

test('what an earlier crash left is given up only when another one is in its place', async () => {
  put('best.old', 'the only one')
  const fresh = put('best.new', 'newer')
  const disk = faultyFileSystem((call) => {
    if (call === 'rename') throw systemError('EIO')
  })
  await expect(withFileSystem(disk, () => replaceFolder(fresh, join(place, 'best')))).rejects.toMatchObject({
    code: 'memory',
  })
  expect(contents('best.old')).toBe('the only one')
  await replaceFolder(fresh, join(place, 'best'))
  expect(readdirSync(place)).toEqual(['best'])
})
