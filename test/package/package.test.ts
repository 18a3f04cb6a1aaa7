// The quick form of `npm run test:package`: the package as a stranger gets it, under the Node that runs the tests.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const noRegistry = 3
const minutes = 60_000

interface Report {
  readonly package: { readonly bytes: number; readonly files: readonly string[] }
  readonly checks: readonly {
    readonly node: string
    readonly name: string
    readonly ok: boolean
    readonly detail: string
  }[]
}

test('the packed package installs without scripts and works in an empty folder', {
  timeout: 10 * minutes,
}, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'regraft-report-'))
  try {
    const file = join(folder, 'report.json')
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'scripts', 'check-package.mjs'), '--quick', '--report', file],
      { encoding: 'utf8', env: plainEnvironment(), timeout: 9 * minutes },
    )
    if (status === noRegistry) return context.skip('npm cannot reach a registry, so nothing can be installed')
    expect(`${stdout}${stderr}`).toMatch(/ 0 failed\n/)
    expect(status).toBe(0)

    // Written by the script, in this form.
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([])
    const names = report.checks.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining([
        'holds what it should and nothing else',
        'is below 6 MB',
        'npx finds the command',
        'types resolve without the browser library',
        'doctor',
        'train, relaxed kernels',
        'predict, embed and eval with the run',
        'import from a module',
        'require from CommonJS',
        'example 1 of the README',
        'example 2 of the README',
      ]),
    )
    expect(report.package.bytes).toBeLessThan(6e6)
    expect(report.package.files.filter((path) => /\.ts$/.test(path) && !/\.d\.ts$/.test(path))).toEqual([])
    return
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

/** Without what npm and the test runner tell their children. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_OPTIONS$|NODE_ENV$)/.test(name)),
  )
}
