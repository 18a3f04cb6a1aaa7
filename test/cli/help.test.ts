import { expect, test } from 'vitest'
import { commands } from '../../src/cli/commands/index.ts'
import { settingsOf } from '../../src/cli/parse.ts'
import { flagName } from '../../src/cli/settings.ts'
import { perform } from './stage.ts'

test.each(commands.map(({ name }) => name))(
  'the help of %s shows each of its options, grouped, and an example',
  async (name) => {
    const command = commands.find((each) => each.name === name)
    if (command === undefined) throw new Error('a command')
    const { exitCode, stdout, stderr } = await perform([name, '--help-all'])
    expect(exitCode).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toContain(`Usage: regraft ${name}`)
    for (const [key, setting] of Object.entries(settingsOf(command))) {
      if (setting.positional) continue
      expect(stdout).toMatch(new RegExp(`--(no-)?${flagName(key)}\\b`))
      expect(stdout).toContain(`\n${setting.group}:\n`)
    }
    expect(stdout).toContain(`$ ${command.examples[0]}`)
    expect(stdout).not.toContain('\u001b')
    expect(stdout.endsWith('\n')).toBe(true)
    const brief = await perform([name, '--help'])
    expect(await perform(['help', name])).toMatchObject({ exitCode: 0, stdout: brief.stdout })
    if (command.common === undefined) expect(brief.stdout).toBe(stdout)
  },
)

test.each(commands.filter(({ common }) => common !== undefined))(
  'of many options --help of $name shows the usual ones and where the others are',
  async (command) => {
    const { stdout } = await perform([command.name, '--help'])
    const all = settingsOf(command)
    for (const key of command.common ?? []) {
      expect(Object.keys(all)).toContain(key)
      expect(stdout).toMatch(new RegExp(`--(no-)?${flagName(key)}\\b`))
    }
    const [, hidden] = /^(\d+) more options: regraft [\w-]+ --help-all$/m.exec(stdout) ?? []
    const shown = stdout.match(/^ +(-\w, )?--/gm)?.length ?? 0
    // --help itself is no setting; what stands behind the name is no flag.
    const flags = Object.values(all).filter(({ positional }) => !positional).length
    expect(Number(hidden) + shown - 1).toBe(flags)
    expect(stdout.split('\n').length).toBeLessThan(100)
  },
)

test('the help names all commands and exit codes', async () => {
  const { stdout } = await perform(['--help'])
  for (const { name } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 75, 130, 143]) expect(stdout).toMatch(new RegExp(`^  ${code} `, 'm'))
  const topic = await perform(['help', 'exit-codes'])
  expect(stdout).toContain(topic.stdout)
})

test('defaults are shown', async () => {
  const { stdout } = await perform(['predict', '--help'])
  expect(stdout.replace(/\s+/g, ' ')).toContain('labels per picture (default: 1)')
})

test('without a command the help goes to stderr and the exit code is 2', async () => {
  const { exitCode, stdout, stderr } = await perform([])
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain('Usage: regraft')
})

test('the version is that of the package', async () => {
  const { exitCode, stdout } = await perform(['--version'])
  expect(exitCode).toBe(0)
  expect(stdout).toMatch(/^regraft \d+\.\d+\.\d+\S*\n$/)
})
