import { RegraftError } from '../errors.ts'

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

/**
 * Reads CSV as RFC 4180 has it: cells with commas, quotes and line ends are quoted; lines end with LF or CRLF.
 * @param source  name of the file, for messages
 * @throws RegraftError `data`  for stray quotes and rows of unequal length, with the line
 */
export function parseCsv(text: string, source: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let line = 1
  let rowLine = 1
  let at = 0
  const refuse = (problem: string) =>
    new RegraftError('data', `${source}, line ${line}: ${problem}`, { file: source, where: `line ${line}` })

  while (at < text.length) {
    if (text[at] === '"') {
      let cell = ''
      for (;;) {
        const end = text.indexOf('"', at + 1)
        if (end < 0) throw refuse('a quoted cell does not end.')
        cell += text.slice(at + 1, end)
        at = end + 1
        if (text[at] !== '"') break
        cell += '"'
      }
      line += cell.split('\n').length - 1
      row.push(cell)
    } else {
      const cell = /[^,\r\n]*/y
      cell.lastIndex = at
      const found = cell.exec(text)?.[0] ?? ''
      if (found.includes('"')) throw refuse('a quote inside a cell that is not quoted.')
      row.push(found)
      at += found.length
    }
    if (text[at] === ',') {
      at += 1
      // A comma at the very end opens one more, empty cell.
      if (at === text.length) row.push('')
      else continue
    }
    const lineEnd = /\r?\n/y
    lineEnd.lastIndex = at
    const found = lineEnd.exec(text)?.[0]
    if (found === undefined && at < text.length) throw refuse('text between a quoted cell and the next comma.')
    at += found?.length ?? 0
    const expected = rows[0]?.length ?? row.length
    if (row.length !== expected) {
      line = rowLine
      throw refuse(`${row.length} cells, expected ${expected}.`)
    }
    rows.push(row)
    row = []
    line += 1
    rowLine = line
  }
  return rows
}
