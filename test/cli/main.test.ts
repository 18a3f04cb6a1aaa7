import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** A real process. */
function regraft(
  words: readonly string[],
  closeStdout = false,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    if (closeStdout) child.stdout.destroy()
    child.stdout.on('data', (part) => (stdout += part))
    child.stderr.on('data', (part) => (stderr += part))
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}

test('the program prints its help to stdout and nothing else', async () => {
  const { exitCode, stdout, stderr } = await regraft(['train', '--help'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('Usage: regraft train')
  expect(stdout).not.toContain('\u001b')
})

test('the program exits with the code of its error', async () => {
  const { exitCode, stdout, stderr } = await regraft(['train', 'x', '--epochs', '0'])
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toMatch(/^regraft: --epochs: '0' is out of range/)
})

test('the program ends quietly when nobody reads its output', async () => {
  expect(await regraft(['--help'], true)).toMatchObject({ exitCode: 0, stderr: '' })
})
