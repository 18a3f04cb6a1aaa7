// Plays regraft for tests of `run`: the model's name says what to do.
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [record = '', ...words] = process.argv.slice(2)
const act = words.find((word) => /^--model=|^--model$/.test(word))
  ? words[words.findIndex((word) => word.startsWith('--model')) + 1]
  : words[1]
const out = words.find((word) => word.startsWith('--out='))?.slice('--out='.length)
appendFileSync(record, `${JSON.stringify({ words, threads: process.env.REGRAFT_THREADS ?? null })}\n`)
console.log(`rows of ${words.join(' ')}`)
console.error(`said by ${words.join(' ')}`)
if (out !== undefined) {
  mkdirSync(join(out, 'checkpoints', 'epoch-1'), { recursive: true })
  writeFileSync(join(out, 'metrics.json'), JSON.stringify({ best: { val_accuracy: 0.75 } }))
}
const [, code] = /^exits-(\d+)$/.exec(act ?? '') ?? []
if (code !== undefined) process.exitCode = Number(code)
if (act === 'dies') process.kill(process.pid, 'SIGKILL')
if (act === 'once' && !existsSync(`${record}.again`)) {
  writeFileSync(`${record}.again`, '')
  process.exitCode = 4
}
if (act === 'waits') {
  const timer = setInterval(() => undefined, 1000)
  for (const [signal, number] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.on(signal, () => {
      appendFileSync(record, `${JSON.stringify({ signal })}\n`)
      clearInterval(timer)
      process.exitCode = number
    })
  }
  appendFileSync(record, `${JSON.stringify({ waiting: true })}\n`)
}
