import { describe, expect, it } from 'vitest'
import { type ErrorCode, exitCodes, RegraftError, throwIfAborted } from '../src/errors.ts'
import { inert, inertName } from '../src/inert-text.ts'
import { nearestName } from '../src/nearest-name.ts'

describe('RegraftError', () => {
  it('has the exit code of its class', () => {
    const expected: Record<ErrorCode, number> = {
      usage: 2,
      data: 3,
      weights: 4,
      threshold: 5,
      memory: 6,
      strict: 7,
      time: 75,
      interrupted: 130,
    }
    expect(exitCodes).toEqual(expected)
    for (const [code, exitCode] of Object.entries(expected)) {
      // The keys of the table above are codes.
      expect(new RegraftError(code as ErrorCode, 'x').exitCode).toBe(exitCode)
    }
    expect(new RegraftError('interrupted', 'x', { signal: 'SIGTERM' }).exitCode).toBe(143)
  })

  it('keeps file, place and cause, and escapes only the message', () => {
    const cause = new Error('disk')
    const error = new RegraftError('data', 'bad \u001b[2J\u202egnp.exe\nhere', {
      file: 'a\u001b.jpg',
      where: 'w',
      cause,
    })
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe('bad \\x1b[2J\\u202egnp.exe\nhere')
    expect(error.file).toBe('a\u001b.jpg')
    expect(error.where).toBe('w')
    expect(error.cause).toBe(cause)
    expect('cause' in new RegraftError('data', 'x')).toBe(false)
  })

  it('stops aborted work with the reason as the cause', () => {
    expect(() => throwIfAborted(undefined)).not.toThrow()
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow()
    expect(() => throwIfAborted(AbortSignal.abort('enough'))).toThrow(
      expect.objectContaining({ code: 'interrupted', cause: 'enough' }),
    )
    const late = new RegraftError('time', 'Time is up.')
    expect(() => throwIfAborted(AbortSignal.abort(late))).toThrow(late)
  })
})

describe('inert text', () => {
  it('escapes C0, C1, bidi and half characters, and nothing else', () => {
    expect(inert('a\tb\r\u0000\u007f\u009b\u2066\u2028\ufeff\ud800x')).toBe(
      'a\\x09b\\x0d\\x00\\x7f\\x9b\\u2066\\u2028\\ufeff\\ud800x',
    )
    expect(inert('Blüte 🌼 naïve\n日本')).toBe('Blüte 🌼 naïve\n日本')
    expect(inert(inert('\u001b'))).toBe('\\x1b')
  })

  it('escapes newlines in names and cuts very long ones', () => {
    expect(inertName('a\nb')).toBe('a\\nb')
    expect(inertName('x'.repeat(5000)).length).toBe(1001)
  })
})

describe('nearestName', () => {
  it('finds typing mistakes and swapped letters, in any case', () => {
    expect(nearestName('mobilnetv2_100', ['resnet18', 'mobilenetv2_100', 'mobilenetv2_140'])).toBe('mobilenetv2_100')
    expect(nearestName('Adma', ['sgd', 'adam', 'adamw'])).toBe('adam')
    expect(nearestName('FC.WEIGHT', ['fc.weight', 'fc.bias'])).toBe('fc.weight')
  })

  it('offers nothing when nothing is close', () => {
    expect(nearestName('zebra', ['adam', 'sgd'])).toBeUndefined()
    expect(nearestName('', ['a'])).toBeUndefined()
    expect(nearestName('x', [])).toBeUndefined()
  })
})
