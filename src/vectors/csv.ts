import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CsvError, parse } from 'csv-parse'
import { RegraftError } from '../errors.ts'
import { inertName } from '../inert-text.ts'

/**
 * Text that a spreadsheet would take for a formula: = + - @ (also full-width), a tab or a line end in front, behind any
 * number of single quotes. https://owasp.org/www-community/attacks/CSV_Injection
 */
const formula = /^'*[=+\-@\t\r\n＝＋－＠]/u

/**
 * A text column of CSV: a single quote goes in front of what looks like a formula, and RFC 4180 quoting around what
 * needs it. `plainText` undoes the single quote exactly.
 */
export function csvText(text: string): string {
  return quoted(formula.test(text) ? `'${text}` : text)
}

/** Undoes the single quote of `csvText`, after the quoting is undone. */
export function plainText(cell: string): string {
  return cell.startsWith("'") && formula.test(cell) ? cell.slice(1) : cell
}

/** A number column of CSV, with 6 significant digits; NaN and null leave the cell empty. */
export function csvNumber(value: number | null | undefined): string {
  return value === null || value === undefined || Number.isNaN(value) ? '' : String(Number(value.toPrecision(6)))
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A row of a CSV file and the line it begins on, from 1. */
export interface CsvRow {
  readonly cells: readonly string[]
  readonly line: number
}

/** Characters of a row; more is no table but a stray quote. */
const longestRow = 1 << 20

/**
 * Rows of CSV as RFC 4180 has it, as they are read: cells with commas, quotes and line ends are quoted; lines end with LF or CRLF.
 * @param pieces  the text
 * @param source  name of the file, for messages
 * @throws RegraftError `data`  for stray quotes and rows of unequal length, with the line
 */
export async function* csvRows(
  pieces: AsyncIterable<string> | Iterable<string>,
  source: string,
): AsyncGenerator<CsvRow, void, undefined> {
  const parser = parse({ bom: true, info: true, record_delimiter: ['\n', '\r\n'], max_record_size: longestRow })
  // Errors of either come out of the parser.
  const feeding = pipeline(Readable.from(pieces), parser).catch(() => undefined)
  let line = 1
  try {
    for await (const item of parser) {
      // What csv-parse gives with `info`; its types know records only.
      const { record, info } = item as { record: string[]; info: { lines: number } }
      yield { cells: record, line }
      line = info.lines + 1
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    const at = `line ${'lines' in cause && typeof cause.lines === 'number' ? cause.lines : line}`
    throw new RegraftError('data', `${inertName(source)}, ${at}: ${problemOf(cause)}`, {
      file: source,
      where: at,
      cause,
    })
  } finally {
    parser.destroy()
    await feeding
  }
}

function problemOf(error: CsvError): string {
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
    case 'CSV_RECORD_INCONSISTENT_COLUMNS':
      return 'another number of cells than in the rows before.'
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quoted cell does not end.'
    case 'INVALID_OPENING_QUOTE':
      return 'a quote inside a cell that is not quoted.'
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'text between a quoted cell and the next comma.'
    case 'CSV_MAX_RECORD_SIZE':
      return `a row of more than ${longestRow} characters; is a quote missing?`
    default:
      return `${error.message}.`
  }
}
