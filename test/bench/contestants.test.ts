import { expect, test } from 'vitest'
import { Absent, type Entrant, startContestant } from '../../bench/contestants.ts'

const running = (script: string): Entrant => ({
  label: 'toy',
  command: [process.execPath, '-e', script, '--'],
  threads: 1,
})

/** Introduces itself after a line of chatter; of tasks it knows none. */
const toy = `
  console.log('welcome')
  console.log(JSON.stringify({ is: 'toy 1', details: process.argv.slice(1).join(' ') }))
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const request = JSON.parse(line)
    console.log('thinking about ' + request.do)
    if (request.do === 'load') console.log(JSON.stringify({ error: 'no such task' }))
    else if (request.do === 'unload') process.exit(3)
    else console.log(JSON.stringify({ calls: 2, seconds: request.seconds }))
  })`

test('a contestant introduces itself, answers, and may chatter', async () => {
  const contestant = await startContestant(running(toy))
  expect(contestant.introduction).toEqual({ is: 'toy 1', details: '--threads 1' })
  expect(await contestant.time(0.5)).toEqual({ calls: 2, seconds: 0.5 })
  await expect(contestant.load({ kind: 'peak' })).rejects.toThrow('toy: no such task')
  await expect(contestant.unload()).rejects.toThrow('toy: it ended with 3.')
  await contestant.close()
})

test('one that cannot start is absent, with its reason', async () => {
  const broken = startContestant(running("throw new Error('Cannot find package x imported from somewhere')"))
  await expect(broken).rejects.toThrow(Absent)
  await expect(broken).rejects.toThrow('Error: Cannot find package x')
  const missing = startContestant({ label: 'none', command: ['no-such-program-at-all'], threads: 1 })
  await expect(missing).rejects.toThrow(/ENOENT/)
})
