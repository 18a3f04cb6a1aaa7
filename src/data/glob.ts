import { join } from 'node:path'
import { compareCodePoints } from '../files/folder.ts'
import { reasonOf } from './bad-file.ts'
import { entriesOf, lookAt } from './disk.ts'
import { isJunk } from './walk-files.ts'

/** Whether a path asks to be matched: `*`, `?`, `[…]` or `{…}` in it. */
export function isPattern(path: string): boolean {
  return /[*?{]|\[[^\]]+\]/.test(path)
}

/**
 * The paths that a pattern stands for, by code point: `*` and `?` within a name, `[a-z]`, `{jpg,png}`, and `**` for any number of
 * folders. Hidden and system files match only where the pattern itself begins with a dot. Links to folders are not entered by `**`.
 */
export async function matchingPaths(pattern: string): Promise<string[]> {
  const matches = new Set<string>()
  for (const plain of withoutBraces(pattern)) {
    const segments = plain.split('/')
    const start = segments[0] === '' ? '/' : ''
    await match(
      start,
      segments.filter((segment) => segment !== ''),
      matches,
    )
  }
  return [...matches].sort(compareCodePoints)
}

async function match(start: string, segments: readonly string[], matches: Set<string>): Promise<void> {
  // A stack instead of recursion: folders may be nested deep.
  const waiting: { readonly at: string; readonly from: number }[] = [{ at: start, from: 0 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at, from } = next
    const segment = segments[from]
    if (segment === undefined) {
      if (at !== '') matches.add(at)
      continue
    }
    if (segment === '**') {
      waiting.push({ at, from: from + 1 })
      for (const { name, kind } of await listed(at)) {
        if (kind === 'folder' && !isJunk(name)) waiting.push({ at: below(at, name), from })
      }
      continue
    }
    const last = from === segments.length - 1
    if (!isPattern(segment)) {
      const path = below(at, segment)
      if (typeof (await lookAt(path)) !== 'string') waiting.push({ at: path, from: from + 1 })
      continue
    }
    const fits = segmentPattern(segment)
    for (const { name, kind } of await listed(at)) {
      if (!fits.test(name) || (isJunk(name) && !segment.startsWith('.'))) continue
      if (last || kind !== 'file') waiting.push({ at: below(at, name), from: from + 1 })
    }
  }
}

function below(folder: string, name: string): string {
  return folder === '' || folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`
}

async function listed(folder: string): Promise<{ readonly name: string; readonly kind: string }[]> {
  const entries: { readonly name: string; readonly kind: string }[] = []
  try {
    for await (const entry of entriesOf(join(folder === '' ? '.' : folder))) entries.push(entry)
  } catch (cause) {
    // What cannot be looked into holds no match.
    if (reasonOf(cause) === undefined) throw cause
  }
  return entries
}

/** `{a,b}` written out, braces inside braces too; a brace without its partner stands for itself. */
function withoutBraces(pattern: string): string[] {
  const done: string[] = []
  const waiting = [pattern]
  for (let next = waiting.shift(); next !== undefined && done.length + waiting.length < 1000; next = waiting.shift()) {
    // The innermost pair first.
    const [whole, before, choices, after] = /^(.*)\{([^{}]*)\}(.*)$/s.exec(next) ?? []
    if (whole === undefined) done.push(next)
    else for (const choice of (choices ?? '').split(',')) waiting.push(`${before}${choice}${after}`)
  }
  return done
}

/** One name's pattern as a regular expression. */
function segmentPattern(segment: string): RegExp {
  let source = ''
  for (let i = 0; i < segment.length; i++) {
    const letter = segment.charAt(i)
    const close = letter === '[' ? segment.indexOf(']', i + 2) : -1
    if (letter === '*') source += '[^/]*'
    else if (letter === '?') source += '[^/]'
    else if (close > 0) {
      const inside = segment.slice(i + 1, close)
      const negated = inside.startsWith('!') || inside.startsWith('^')
      source += `[${negated ? '^' : ''}${(negated ? inside.slice(1) : inside).replace(/[\\^[\]]/g, '\\$&')}]`
      i = close
    } else source += letter.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  }
  return new RegExp(`^${source}$`, 'su')
}
