import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseStrictJson, readJson, writeJson } from '../../src/files/strict-json.ts'
import { temporaryFolder } from './temporary-folder.ts'

const folder = temporaryFolder()
const parse = (source: string | Uint8Array) => parseStrictJson(source, { file: 'x.json' })

describe('parseStrictJson', () => {
  it.each([
    '{}',
    '[]',
    ' [ ] ',
    '{ "a" : [ 1 , { } , [ ] , null , true , false , "" ] , "b" : { "c" : -0.5e-3 } }',
    '"\\u00e9\\ud83d\\ude00\\n\\"\\\\\\/\\b\\f\\r\\t ü😀"',
    '0',
    '-0',
    '1E5',
    '123456789012345678901234567890',
    '[[[[1]]],[[2]],3]',
    '\n\t{"a":\r\n1}\n',
    '{"constructor":1,"toString":{"valueOf":2}}',
  ])('reads what JSON.parse reads: %s', (text) => {
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)))
    expect(parse(Buffer.from(text))).toEqual(parse(text))
  })

  it.each([
    ['', 'the end'],
    ['   ', 'the end'],
    ['{', 'the end'],
    ['[1', 'the end'],
    ['[1,]', "found ']'"],
    ['{"a":1,}', "found '}'"],
    ['{"a" 1}', "expected ':'"],
    ['{a:1}', 'key in quotes'],
    ["{'a':1}", 'key in quotes'],
    ['[1 2]', "expected ','"],
    ['[1}', "found '}'"],
    ['{"a":1]', "found ']'"],
    ['01', 'trailing data'],
    ['1.', 'trailing data'],
    ['.5', 'expected a value'],
    ['+1', 'expected a value'],
    ['1e', 'trailing data'],
    ['NaN', 'NaN'],
    ['-Infinity', '-Infinity'],
    ['1e400', 'not finite'],
    ['tru', 'tru'],
    ['"abc', 'inside a text'],
    ['"a\nb"', 'control character'],
    ['"\\x41"', 'unknown escape'],
    ['"\\u12g4"', 'hexadecimal'],
    ['"\\ud800"', 'surrogate'],
    ['{"\\udc00":1}', 'surrogate'],
    ['"\ud800"', 'surrogate'],
    ['{} {}', 'trailing data'],
    ['{} // no', 'trailing data'],
    ['// no\n{}', 'comments'],
    ['\ufeff{}', 'byte-order mark'],
    ['{"a":1,"a":2}', "duplicate key: 'a'"],
    ['{"a":{"b":1},"\\u0061":2}', "duplicate key: 'a'"],
    ['{"constructor":1,"constructor":1}', 'duplicate'],
    ['{"__proto__":{"polluted":1}}', '__proto__'],
    ['{"\\u005f_proto__":1}', '__proto__'],
  ])('refuses %j', (text, words) => {
    expect(() => parse(text)).toThrow(words)
    expect(() => parse(text)).toThrow(/^x\.json, line \d+, column \d+: the JSON /)
  })

  it('refuses other encodings', () => {
    expect(() => parse(Buffer.from('{"a":"é"}', 'latin1'))).toThrow('UTF-8')
    expect(() => parse(Buffer.from('\ufeff{}', 'utf16le'))).toThrow('UTF-16')
    expect(() => parse(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toThrow('UTF-8')
  })

  it('names line and column', () => {
    expect(() => parse('{\n  "a": 1,\n  "a": 2\n}')).toThrow('x.json, line 3, column 3:')
    expect(() => parse('{\n  "a": oops\n}')).toThrow('line 2, column 8')
  })

  it('limits depth and size without recursion', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(parse(nested(64))).toBeDefined()
    expect(() => parse(nested(65))).toThrow('nested')
    expect(() => parse('['.repeat(1_000_000))).toThrow('nested')
    expect(() => parse('{"a":'.repeat(100))).toThrow('nested')
    expect(() => parseStrictJson('[1,2,3]', { file: 'x', maxBytes: 6 })).toThrow('too large')
    expect(parseStrictJson(nested(1000), { file: 'x', maxDepth: 1000 })).toBeDefined()
  })

  it('makes objects that inherit nothing', () => {
    const value = parse('{"a":{}}')
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect('constructor' in Object(value)).toBe(false)
  })

  it('shows hostile text escaped', () => {
    expect(() => parse('{"\u202e\\u001b[2J":1,"\u202e\\u001b[2J":1}')).toThrow("'\\u202e\\x1b[2J'")
  })
})

describe('JSON files', () => {
  it('keep the order of keys and end in a newline', async () => {
    const file = join(folder, 'a.json')
    await writeJson(file, { b: 1, a: [Number.NaN, 'ü'] })
    expect(readFileSync(file, 'utf8')).toBe('{\n  "b": 1,\n  "a": [\n    null,\n    "ü"\n  ]\n}\n')
    expect(JSON.stringify(await readJson(file))).toBe('{"b":1,"a":[null,"ü"]}')
  })

  it('carry the class of error asked for', async () => {
    const file = join(folder, 'bad.json')
    writeFileSync(file, '{')
    await expect(readJson(file, { code: 'weights' })).rejects.toMatchObject({
      code: 'weights',
      file,
      where: 'line 1, column 2',
    })
  })
})
