// What only a process of its own can show: signals, and the limits that a shell sets.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { buildRegraft } from './built-regraft.ts'
import { inProcess } from './command-line.ts'
import { drawFolder } from './drawn-pictures.ts'
import { expectWhole } from './injected-faults.ts'
import { savedModel } from './random-model.ts'
import { digestOf, resultOf } from './run-result.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
const trunk = join(folder, 'trunk')
let main: string

beforeAll(async () => {
  main = buildRegraft(join(folder, 'regraft'))
  await drawFolder(data, 4)
  await savedModel(trunk, 'mobilenetv1_025')
})

const linux = process.platform === 'linux'
const regraft = (...words: readonly string[]): readonly string[] => [process.execPath, main, ...words]

test.skipIf(!linux)('a limit of the address space gives one clear message', async () => {
  // Node starts below this limit, but the 10 GiB of addresses that a WebAssembly memory reserves do not fit.
  const limited = ['bash', '-c', 'ulimit -v 4000000 && exec "$@"', 'bash']
  const out = join(folder, 'limited')
  const ran = await inProcess([...limited, ...regraft('train', data, '--model', trunk, '--out', out)])
  expect({ exitCode: ran.exitCode, stdout: ran.stdout }, ran.stderr).toEqual({ exitCode: 6, stdout: '' })
  expect(ran.stderr).toMatch(/^regraft: .*address space/)
  expect(ran.stderr).toMatch(/ulimit -v unlimited/)
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(2)
  expect(existsSync(out)).toBe(false)
})

test.skipIf(process.platform === 'win32').each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s ends a training with %d and tells how to go on', async (signal, exitCode) => {
  const out = join(folder, `it's ${signal}`)
  const words = ['train', data, '--model', trunk, '--mode', 'finetune', '--unfreeze', 'last:1', '--batch-size', '4']
  let sent = false
  const ran = await inProcess(regraft(...words, '--epochs', '20', '--patience', '0', '--out', out), {
    onStderr: (text, send) => {
      if (sent || !text.includes('epoch 1/20')) return
      sent = true
      send(signal)
    },
  })
  expect({ exitCode: ran.exitCode, stdout: ran.stdout }, ran.stderr).toEqual({ exitCode, stdout: '' })
  const way = `Go on with: regraft train --resume '${join(folder, `it'\\''s ${signal}`)}'`
  expect(ran.stderr.trimEnd().split('\n').slice(-2)).toEqual([`regraft: Stopped by ${signal}.`, way])
  const resumed = await inProcess(regraft('train', '--resume', out))
  expect(resumed.exitCode, resumed.stderr).toBe(0)
  expect(resultOf(out).history.trimEnd().split('\n')).toHaveLength(1 + 20)
})

test.skipIf(process.platform === 'win32')(
  'a second signal ends at once, and what was saved before stays whole',
  async () => {
    const out = join(folder, 'impatient')
    const words = ['train', data, '--model', trunk, '--mode', 'finetune', '--unfreeze', 'last:1', '--batch-size', '4']
    let askedAt = 0
    let sent = 0
    const ran = await inProcess(
      regraft(...words, '--epochs', '1000', '--patience', '0', '--save-every', '1', '--out', out),
      {
        onStderr: (text, send) => {
          if (sent === 0 && text.includes('epoch 2/')) {
            sent = 1
            send('SIGINT')
          } else if (sent === 1 && text.includes('A second signal ends at once')) {
            sent = 2
            askedAt = performance.now()
            send('SIGTERM')
          }
        },
      },
    )
    expect(sent).toBe(2)
    expect(performance.now() - askedAt).toBeLessThan(1000)
    // Of whichever came first to its end: the saving, or the second signal.
    expect([130, 143], ran.stderr).toContain(ran.exitCode)
    await expectWhole(out)
    const resumed = await inProcess(regraft('train', '--resume', out, '--time', '0.1s'))
    expect(resumed.exitCode, resumed.stderr).toBe(75)
  },
)

test.skipIf(process.platform === 'win32')(
  'neither the size of the pool in which pictures are decoded nor how many are in it changes a byte',
  async () => {
    const manyCores = join(folder, 'many-cores.cjs')
    writeFileSync(
      manyCores,
      `require('node:os').availableParallelism = () => 15
       require('node:module').syncBuiltinESMExports()`,
    )
    const train = ['train', data, '--model', trunk, '--mode', 'finetune', '--unfreeze', 'last:1', '--augment', 'medium']
    const short = ['--epochs', '1', '--batch-size', '5', '--threads', '2', '--quiet']
    const results: unknown[] = []
    for (const [poolSize, nodeWords] of [
      ['4', []],
      ['1', ['--require', manyCores]],
      ['16', ['--require', manyCores]],
    ] as const) {
      const out = join(folder, `pool ${results.length}`)
      const vectors = join(folder, `vectors ${results.length}`)
      for (const words of [
        [...train, ...short, '--out', out],
        ['embed', data, '--model', trunk, '--threads', '2', '--quiet', '--out', vectors],
      ]) {
        const command = ['env', `UV_THREADPOOL_SIZE=${poolSize}`, process.execPath, ...nodeWords, main, ...words]
        const ran = await inProcess(command)
        expect(ran.exitCode, ran.stderr).toBe(0)
      }
      results.push({ trained: resultOf(out), vectors: digestOf(join(vectors, 'X.npy')) })
    }
    const [first, ...others] = results
    for (const other of others) expect(other).toEqual(first)
  },
  120_000,
)
