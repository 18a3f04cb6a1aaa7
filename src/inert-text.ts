/**
 * Text from files and file names may hold terminal escapes, bidirectional overrides and half characters.
 * These functions make it safe to show: nothing in the result can move a cursor, change a title or reorder the line.
 */

// C0 without the newline, DEL and C1, the bidi controls, line and paragraph separators, the byte-order mark.
const unsafe =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

/** The text with control and bidi characters written as `\x1b` or `\u202e`. Newlines stay. Applying it twice changes nothing. */
export function inert(text: string): string {
  return text.replace(unsafe, escapeCharacter)
}

/**
 * A name (file, class, layer, tensor) for use inside a message: as `inert`, with newlines escaped too,
 * and cut after `maxLength` characters, because names in hostile files can be megabytes long.
 */
export function inertName(name: string, maxLength = 1000): string {
  const short = name.length > maxLength ? `${name.slice(0, maxLength)}…` : name
  return inert(short).replaceAll('\n', '\\n')
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
