import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (file: string) => JSON.parse(readFileSync(new URL(`../../bench/${file}`, import.meta.url), 'utf8'))

test('the lock file of the benchmark says what to install and not from where', () => {
  const { packages } = read('package-lock.json')
  const entries = Object.entries<Record<string, unknown>>(packages).filter(([path]) => path !== '')
  expect(entries.filter(([, entry]) => 'resolved' in entry).map(([path]) => path)).toEqual([])
  expect(entries.filter(([, entry]) => typeof entry['integrity'] !== 'string').map(([path]) => path)).toEqual([])
  expect(packages[''].dependencies).toEqual(read('package.json').dependencies)
})
